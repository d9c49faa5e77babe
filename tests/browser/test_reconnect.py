"""Dialling a server that is not there: one probe at a time, an end where one is wanted, and a way back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.bench import Bench, bench_process, token_of
from tests.browser.peers import Peer, slammed_door, tarpit
from tests.browser.processes import free_port
from tests.browser.waiting import until
from tests.browser.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# The machine's own numbers, a tenth of them, so that several attempts fit into a test.
QUICK = json.dumps({"connectMs": 400, "backoffBaseMs": 100, "backoffCapMs": 400})
PROBES = 5
CHROMIUM_SAYS = r"WebSocket connection to .* failed"
WE_SAY = r"\[tidings\] disconnected"


@pytest.mark.parametrize("dead", [tarpit, slammed_door], ids=["silent", "refusing"])
async def test_a_dead_server_sees_one_probe_at_a_time(
    windows: Windows, bench: Bench, dead: Callable[[], AbstractAsyncContextManager[Peer]]
) -> None:
    told = windows.allow(WE_SAY, at_most=1)
    windows.allow(CHROMIUM_SAYS, at_most=4 * PROBES)
    async with dead() as peer:
        page = await windows.open(bench.page("dial", url=f"http://127.0.0.1:{peer.port}/realtime", timing=QUICK))
        await until(lambda: seen(peer), lambda count: count >= PROBES, within_seconds=30)
        # A socket that is given up while it connects may linger in the browser; there is one of ours at a time.
        assert await page.evaluate("wire.aliveMost") == 1
        assert await page.evaluate("wire.opened") >= PROBES
        assert peer.open_most == 1
        await windows.close()
    assert len(told.seen) == 1
    assert (await bench.ledger()).accepted == 0


async def test_the_limit_of_attempts_leads_to_failed_and_reconnect_out_of_it(windows: Windows, bench: Bench) -> None:
    attempts = 3
    chromium_said = windows.allow(CHROMIUM_SAYS, at_most=3 * (attempts + 1))
    windows.allow(WE_SAY, at_most=3)
    failed = windows.allow(r"\[tidings\] failed", at_most=2)
    nobody = f"http://127.0.0.1:{free_port()}/realtime"
    page = await windows.open(bench.page("dial", url=nobody, timing=QUICK, attempts=attempts))
    await page.wait_for_function("live.status.state === 'failed'")
    assert await page.evaluate("wire.opened") == attempts + 1
    await expect(page.get_by_test_id("text")).not_to_be_empty()
    button = page.get_by_role("button", name="Try now")
    await expect(button).to_be_visible()

    # By hand it goes on, and counts anew.
    await button.click()
    await page.wait_for_function("states.filter(state => state === 'failed').length === 2")
    assert await page.evaluate("wire.opened") == 2 * (attempts + 1)
    assert await page.evaluate("wire.aliveMost") == 1
    assert len(failed.seen) == 2
    assert len(chromium_said.seen) == 2 * (attempts + 1)


async def test_reconnect_leads_from_failed_to_live(windows: Windows, pages: Path, tmp_path: Path) -> None:
    """The server comes back after the page has given up: it is the person who says when to try again."""
    windows.allow(CHROMIUM_SAYS, at_most=10)
    windows.allow(WE_SAY, at_most=1)
    failed = windows.allow(r"\[tidings\] failed", at_most=1)
    server = bench_process(pages, tmp_path)
    try:
        await server.serve()
        page = await windows.open(f"{server.http}/pages/dial.html?{query(attempts=2)}")
        await expect(page.get_by_test_id("state")).to_have_text("live")
        server.kill()
        await page.wait_for_function("live.status.state === 'failed'")
        dials = await page.evaluate("wire.opened")
        await server.serve()
        assert await page.evaluate("live.status.state") == "failed"
        assert await page.evaluate("wire.opened") == dials

        await page.get_by_role("button", name="Try now").click()
        await expect(page.get_by_test_id("state")).to_have_text("live")
        assert await page.evaluate("live.status.attempt") == 0
        await post(f"{server.http}/publish", [{"topic": "gift-list:1", "event": "ADDED", "entity_id": "heard"}])
        await expect(page).to_have_title("heard")
        await windows.close()
    finally:
        server.stop()
    assert len(failed.seen) == 1


async def seen(peer: Peer) -> int:
    return peer.accepted


def query(**more: object) -> str:
    return urlencode({"token": token_of("ana"), "timing": QUICK, **more})


async def post(url: str, body: object) -> None:
    async with httpx.AsyncClient() as client:
        (await client.post(url, json=body)).raise_for_status()
