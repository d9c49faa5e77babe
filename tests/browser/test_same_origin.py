"""A page finds its server without having been told where it is."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlsplit

import pytest
from playwright.async_api import WebSocket, expect

from tests.browser.bench import Bench, token_of
from tests.browser.gift_list import EXAMPLE, GiftList
from tests.browser.peers import forwarding
from tests.browser.processes import Server
from tests.browser.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "family.localhost"])
async def test_the_same_page_on_any_host_and_port(
    windows: Windows, bench: Bench, bench_server: Server, host: str
) -> None:
    async with forwarding(bench_server.port) as elsewhere:
        for port in (bench_server.port, elsewhere.port):
            page = await windows.blank()
            dialled: list[str] = []
            page.on("websocket", partial(_note, dialled))
            await page.goto(f"http://{host}:{port}/pages/dial.html?token={token_of('ana')}")
            await expect(page.get_by_test_id("state")).to_have_text("live")
            assert [urlsplit(url).netloc for url in dialled] == [f"{host}:{port}"]
            assert urlsplit(dialled[0]).path == "/realtime/ws"
            await page.context.close()
        assert elsewhere.accepted > 0
    assert (await bench.ledger()).accepted == 2


async def test_the_built_example_holds_no_address(gift_list: GiftList) -> None:
    scripts = list((EXAMPLE / "web" / "dist").rglob("*.js"))
    texts = {script.name: script.read_text() for script in scripts}
    assert any("/realtime" in text for text in texts.values()), "none of them is the script that connects"
    for name, text in texts.items():
        for part in ("localhost", "127.0.0.1", "ws://", "wss://"):
            assert part not in text, f"{name} holds {part}"


async def test_the_built_example_works_through_a_proxy(windows: Windows, gift_list: GiftList) -> None:
    async with forwarding(gift_list.port) as elsewhere:
        page = await windows.open(f"http://localhost:{elsewhere.port}/?as=ana#/mia-seven")
        await expect(page.get_by_test_id("gift-name")).to_have_count(4)
        await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live")
        assert await page.evaluate("wire.received.length") > 0
        await windows.close()


def _note(dialled: list[str], socket: WebSocket) -> None:
    dialled.append(socket.url)
