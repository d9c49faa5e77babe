"""Clients that were written from the description of the format alone work as they stand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from tests.browser.bench import Bench, bench_process
from tests.browser.bundles import SNIPPETS, read_snippets
from tests.browser.waiting import until
from tests.browser.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Of seed/snippets.md: whoever has to change it to make these tests pass has broken the promise.
DIGEST = "c9791a0469b1178cbc20ecbc4a40c259de5481a2f3a4a439983ae1f0c59d066e"
TOPICS = ["gift-list:123", "user:456"]


async def test_the_snippets_are_as_they_were_written() -> None:
    assert len(read_snippets()) == 5
    assert hashlib.sha256(SNIPPETS.read_bytes()).hexdigest() == DIGEST


async def test_connects_subscribes_gets_events_and_pongs(windows: Windows, bench: Bench) -> None:
    page = await windows.blank()
    await page.clock.install()  # so that the 30 s of its heartbeat need no waiting
    await page.goto(bench.page("seed_lifecycle", user="456"))

    await until(bench.statistics, lambda now: now["subscriptions_live"] == 2)
    assert (await bench.ledger()).topics("subscribe") == [TOPICS]

    for number in range(3):
        await bench.publish_one("gift-list:123", "ADDED", {"number": number})
    await bench.publish_one("user:456", "STATUS_CHANGED", {"number": 3})
    await page.wait_for_function("seed.events.length === 4")
    events = await page.evaluate("seed.events")
    assert [event["data"]["payload"]["number"] for event in events] == [0, 1, 2, 3]
    assert [event["topic"] for event in events] == ["gift-list:123"] * 3 + ["user:456"]
    for event in events:
        assert {"topic", "event", "data", "trace_id", "cursor"} == event.keys()
        assert {"entity_id", "payload", "timestamp"} == event["data"].keys()

    last_pong = await page.evaluate("seed.lastPong()")
    assert last_pong == 0
    for pings in (1, 2):
        await page.clock.run_for(30_000)
        await page.wait_for_function("before => seed.lastPong() > before", arg=last_pong)
        last_pong = await page.evaluate("seed.lastPong()")
        assert len((await bench.ledger()).topics("ping")) == pings

    await page.evaluate("seed.unsubscribe(); seed.stop()")
    await until(bench.statistics, lambda now: now["subscriptions_live"] == 1)
    assert (await bench.ledger()).accepted == 1
    assert windows.said == ["log: Connected"]


async def test_the_hook_survives_every_frame_of_the_server(windows: Windows, pages: Path, tmp_path: Path) -> None:
    """It reads ``topic`` of whatever comes: of the server's own heartbeat too, here after a second of silence."""
    server = bench_process(pages, tmp_path, TIDINGS_LIMIT_HEARTBEAT_SECONDS="1")
    try:
        await server.serve()
        async with httpx.AsyncClient() as client:
            bench = Bench(server.http, client)
            page = await windows.open(bench.page("seed_hook", user="456"))
            await page.wait_for_function("wire.received.filter(frame => frame.includes('\"pong\"')).length >= 2")
            kinds = await page.evaluate("wire.received.map(frame => JSON.parse(frame).type)")
            assert kinds[:2] == ["welcome", "subscribed"]
            assert set(kinds) == {"welcome", "subscribed", "pong"}
            value = await bench.change_value("gift-list:123")
            await expect(page.get_by_test_id("gift-list:123")).to_have_text(str(value))
            await expect(page.get_by_test_id("state")).to_have_text("connected")
            await windows.close()
    finally:
        server.stop()


async def test_the_hook_updates_the_screen(windows: Windows, bench: Bench) -> None:
    page = await windows.open(bench.page("seed_hook", user="456"))
    await expect(page.get_by_test_id("state")).to_have_text("connected")
    shown = page.get_by_test_id("gift-list:123")
    await expect(shown).not_to_be_empty()
    await until(bench.statistics, lambda now: now["subscriptions_live"] == 2)

    # TanStack Query 5 reads the array that the hook hands it as filters that name no key, and fetches every
    # active query anew, for each frame: more than the hook means, and the screen follows.
    for _ in range(3):
        value = await bench.change_value("gift-list:123")
        await expect(shown).to_have_text(str(value))

    await page.get_by_role("button", name="Leave").click()
    await until(bench.ledger, lambda now: now.topics("unsubscribe") == [TOPICS])
    await bench.is_empty()
    assert (await bench.ledger()).accepted == 1
    assert (await bench.ledger()).topics("subscribe") == [TOPICS]
