"""A page that is hidden, frozen, left and come back to, or asleep: it ends whole, and does not fetch anew for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.bench import Bench
from tests.browser.blocking import ALL, PATHS, Transport, block
from tests.browser.following import carried_by, record, told
from tests.browser.gift_list import GiftList, shows_the_database
from tests.browser.tabs import Tabs, freeze, hide, show, thaw
from tests.browser.waiting import until
from tests.faults.proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIST = "mia-seven"
TOPIC = f"gift-list:{LIST}"
READ = f"/api/lists/{LIST}"
CHROMIUM_SAYS = r"WebSocket connection to .* failed|Failed to load resource|net::ERR_"
PAUSE_AFTER_MS = 300
CHANGES = 3
# What poll adds is little, for it keeps nothing between two requests.
TRANSPORTS = ["websocket", "sse", pytest.param("poll", marks=pytest.mark.nightly)]
# In every page before its own scripts: what the browser has done with it.
LIFE = """
  window.life = [];
  for (const name of ['freeze', 'resume']) document.addEventListener(name, () => life.push(name));
  addEventListener('pageshow', ({ persisted }) => life.push(persisted ? 'restored' : 'loaded'));
"""


@pytest_asyncio.fixture(loop_scope="session")
async def windows(browser_with_tabs: Browser) -> AsyncIterator[Tabs]:
    """In the place of windows: tabs, of which only the one in front is visible."""
    opened = Tabs(browser_with_tabs)
    yield opened
    await opened.close()


async def test_a_hidden_page_that_pauses_catches_up_by_its_cursor(windows: Tabs, bench: Bench) -> None:
    page = await windows.open(bench.page("pausing", row=7, pauseAfterMs=PAUSE_AFTER_MS))
    path = "GET /values/view:7"
    start = await bench.change_value("view:7")
    await expect(page.get_by_test_id("value")).to_have_text(str(start))
    await carried_by(page, "websocket")
    fetched = (await bench.ledger()).fetched[path]
    assert fetched >= 1

    await hide(page)
    await page.wait_for_function("__tidings.status.state === 'paused'", polling=100)
    await until(bench.statistics, lambda now: now["connections"] == 0)
    for _ in range(CHANGES):
        await bench.change_value("view:7")
    await show(page)
    await expect(page.get_by_test_id("value")).to_have_text(str(start + CHANGES))
    assert (await page.evaluate("heard"))[-CHANGES:] == [start + 1, start + 2, start + 3]
    assert (await bench.ledger()).fetched[path] == fetched, "it has fetched anew"
    assert (await bench.ledger()).accepted == 2


async def opened(windows: Tabs, gift_list: GiftList, proxy: FaultProxy, transport: Transport) -> Page:
    """The gift list, live on that transport, whose life and events are written down."""
    windows.allow(CHROMIUM_SAYS, at_most=12)
    block(proxy, "refused", *ALL[: ALL.index(transport)])
    page = await windows.blank()
    await page.add_init_script(LIFE)
    await page.goto(gift_list.address("ana", LIST, through=proxy.http))
    await carried_by(page, transport)
    await record(page, TOPIC)
    await expect(page.get_by_test_id("gift-name")).to_have_count(4)
    return page


async def ends_whole(page: Page, gift_list: GiftList, proxy: FaultProxy, written: list[str], read: int) -> None:
    """What was written meanwhile is shown, came as events, each once, and the list was not fetched for it."""
    held = await shows_the_database(page, gift_list, LIST)
    assert held[4:] == written
    await until(lambda: told(page), lambda names: len(names) >= len(written))
    assert await told(page) == written
    assert proxy.requests[READ] == read, "it has fetched anew"


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_page_restored_from_the_back_forward_cache_ends_whole(
    windows: Tabs, gift_list: GiftList, proxy: FaultProxy, transport: Transport
) -> None:
    page = await opened(windows, gift_list, proxy, transport)
    async with gift_list.writer("ben", LIST) as write:
        await write("Before it was left")
        await shows_the_database(page, gift_list, LIST)
        read = proxy.requests[READ]
        await page.goto(f"{proxy.http}/icon.svg")
        await until(lambda: open_links(proxy, transport), lambda count: count == 0)
        await write("While it was in the cache 1")
        await write("While it was in the cache 2")
        await page.go_back(wait_until="commit")
        await page.wait_for_function("window.life?.at(-1) === 'restored'")
        assert await page.evaluate("life.filter((what) => !['freeze', 'resume'].includes(what))") == [
            "loaded",
            "restored",
        ]
        await carried_by(page, transport)
        await write("After it was restored")
        written = [
            "Before it was left",
            "While it was in the cache 1",
            "While it was in the cache 2",
            "After it was restored",
        ]
        await ends_whole(page, gift_list, proxy, written, read)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_page_that_was_frozen_ends_whole(
    windows: Tabs, gift_list: GiftList, proxy: FaultProxy, transport: Transport
) -> None:
    page = await opened(windows, gift_list, proxy, transport)
    async with gift_list.writer("ben", LIST) as write:
        await write("Before it was frozen")
        await shows_the_database(page, gift_list, LIST)
        read = proxy.requests[READ]
        await hide(page)
        await freeze(page)
        await until(lambda: open_links(proxy, transport), lambda count: count == 0)
        await write("While it was frozen 1")
        await write("While it was frozen 2")
        await thaw(page)
        await show(page)
        assert await page.evaluate("life") == ["loaded", "freeze", "resume"]
        await carried_by(page, transport)
        await write("After it was shown")
        written = ["Before it was frozen", "While it was frozen 1", "While it was frozen 2", "After it was shown"]
        await ends_whole(page, gift_list, proxy, written, read)


async def open_links(proxy: FaultProxy, transport: Transport) -> int:
    """Connections of the page that carry its events; those of HTTP stay open for the next request."""
    return sum(len(proxy.links(path)) for path in PATHS[transport])
