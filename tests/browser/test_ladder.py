"""Down the ladder in a real browser, a proxy in the way: WebSocket, SSE, long-poll, refetching; and up again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from statistics import median

import pytest
from playwright.async_api import Page, expect

from tests.browser.blocking import ALL, PATHS, Way, asked, block
from tests.browser.figures import Figures
from tests.browser.following import carried_by, record, told
from tests.browser.gift_list import GiftList, add_gift, row, shows_the_database
from tests.browser.measuring import elapsed_ms, stamp_actions, watch
from tests.browser.waiting import until
from tests.browser.windows import Windows
from tests.faults.proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Write = Callable[[str], Awaitable[None]]
LIST = "mia-seven"
TOPIC = f"gift-list:{LIST}"
READ = f"/api/lists/{LIST}"
TIMES = 5
MEDIAN_MS_MAX = 300
# A proxy that swallows costs a dial its five seconds.
LIVE_SECONDS_MAX = 14
REFETCH_SECONDS = 10
BACK_SECONDS_MAX = 15
# Sooner than the badge would say that the page is offline, which would not be so.
REFRESHING_MS_MAX = 5_000
# Five seconds a dial, ten for the last one and for WebSocket where it has worked, and the pause before the second.
SWALLOWED_SECONDS_MAX = 30
HAS = "[...document.querySelectorAll('[data-testid=gift-name]')].some(n => n.textContent === argument)"
# Chromium itself writes a line for each attempt that fails, which no page can prevent.
CHROMIUM_SAYS = r"WebSocket connection to .* failed|Failed to load resource|net::ERR_"


async def two_windows(windows: Windows, gift_list: GiftList, proxy: FaultProxy) -> tuple[Page, Page]:
    """Ana's and Ben's, on the same list, behind the proxy. The list does not wait for what is blocked."""
    ana = await windows.open(gift_list.address("ana", LIST, through=proxy.http), reduced_motion="reduce")
    ben = await windows.open(gift_list.address("ben", LIST, through=proxy.http), reduced_motion="reduce")
    for page in (ana, ben):
        await expect(page.get_by_test_id("gift-name")).to_have_count(4)
    return ana, ben


async def follows(ana: Page, ben: Page, gift_list: GiftList, proxy: FaultProxy) -> list[float]:
    """What Ana adds reaches Ben's screen by an event, not by a refetch; how long each took, in milliseconds."""
    await record(ben, TOPIC)
    await stamp_actions(ana)
    read = proxy.requests[READ]
    names = [f"Wish {number}" for number in range(TIMES)]
    took = []
    for name in names:
        await watch(ben, HAS, name)
        await add_gift(ana, name)
        took.append(await elapsed_ms(ana, ben))
    assert await told(ben) == names
    assert proxy.requests[READ] == read, "a page has refetched the list"
    for page in (ana, ben):
        await shows_the_database(page, gift_list, LIST)
    return took


async def is_calm(page: Page, transport: str) -> None:
    """Slower is no trouble: the badge says that the page is live, and only its tooltip how."""
    badge = page.get_by_test_id("connection-badge").locator(".tidings-badge")
    await expect(badge).to_have_attribute("data-tone", "good")
    await expect(badge.locator(".tidings-badge-text")).to_have_text("Live")
    await expect(badge).to_have_attribute("title", f"live (slower connection) · {transport}")
    await expect(badge.get_by_role("button")).to_have_count(0)


@pytest.mark.parametrize("way", ["refused", "stripped", "stalled"])
async def test_without_websocket_it_is_live_over_sse(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, figures: Figures, way: Way
) -> None:
    windows.allow(CHROMIUM_SAYS, at_most=8)
    block(proxy, way, "websocket")
    began_at = time.monotonic()
    ana, ben = await two_windows(windows, gift_list, proxy)
    for page in (ana, ben):
        await carried_by(page, "sse", within_seconds=LIVE_SECONDS_MAX)
    figures.add(f"WebSocket {way}, two pages live over SSE", after_ms=(time.monotonic() - began_at) * 1000)
    for page in (ana, ben):
        await is_calm(page, "sse")
    took = await follows(ana, ben, gift_list, proxy)
    figures.add("added in one window, shown in the other over SSE", median_ms=median(took), max_ms=max(took))
    assert median(took) < MEDIAN_MS_MAX
    assert asked(proxy, "websocket") >= 2
    assert asked(proxy, "poll") == 0


@pytest.mark.parametrize("way", ["refused", "buffered"])
async def test_without_streams_it_is_live_over_long_poll(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, figures: Figures, way: Way
) -> None:
    windows.allow(CHROMIUM_SAYS, at_most=12)
    block(proxy, "refused", "websocket")
    block(proxy, way, "sse")
    began_at = time.monotonic()
    ana, ben = await two_windows(windows, gift_list, proxy)
    for page in (ana, ben):
        await carried_by(page, "poll", within_seconds=LIVE_SECONDS_MAX)
    figures.add(f"SSE {way} too, two pages live over long-poll", after_ms=(time.monotonic() - began_at) * 1000)
    for page in (ana, ben):
        await is_calm(page, "poll")
    took = await follows(ana, ben, gift_list, proxy)
    figures.add("added in one window, shown in the other over long-poll", median_ms=median(took), max_ms=max(took))
    assert median(took) < MEDIAN_MS_MAX
    assert asked(proxy, "sse") >= 2


async def test_with_everything_blocked_it_refetches_and_comes_back(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, figures: Figures
) -> None:
    windows.allow(CHROMIUM_SAYS, at_most=60)
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    page = await windows.open(gift_list.address("ana", LIST, through=proxy.http), reduced_motion="reduce")
    await record(page, TOPIC)
    async with gift_list.writer("ben", LIST) as write:
        await write("Before the blockade")
        await shows_the_database(page, gift_list, LIST)
        block(proxy, "refused", *ALL)
        blocked_at = time.monotonic()
        await says_that_it_refreshes(page)
        figures.add("everything blocked, told by the badge", after_ms=(time.monotonic() - blocked_at) * 1000)

        await refetches_every_ten_seconds(page, gift_list, proxy, write)
        # What one does oneself goes over the API, as ever.
        await add_gift(page, "Mine, without a stream")
        await expect(row(page, "Mine, without a stream")).to_have_attribute("data-waiting", "false")
        assert "Mine, without a stream" in gift_list.names(LIST)
        await refreshes_by_hand(page, gift_list, proxy, write)
        await write("In the last moment")

        proxy.heal()
        unblocked_at = time.monotonic()
        await carried_by(page, "websocket", within_seconds=BACK_SECONDS_MAX)
        figures.add("unblocked, back on WebSocket", after_ms=(time.monotonic() - unblocked_at) * 1000)
        held = await shows_the_database(page, gift_list, LIST)
        badge = page.get_by_test_id("connection-badge").locator(".tidings-badge")
        await expect(badge.locator(".tidings-badge-text")).to_have_text("Live")

        # What the refetches had shown already comes as events too: each once, and shown once.
        assert await told(page) == held[4:]
        live_at, read = time.monotonic(), proxy.requests[READ]
        await until(now, lambda at: at > live_at + REFETCH_SECONDS + 1, within_seconds=REFETCH_SECONDS + 3)
        assert proxy.requests[READ] == read, "it refetches though it is live"
        await write("At the end")
        assert (await shows_the_database(page, gift_list, LIST))[4:] == await told(page)


async def says_that_it_refreshes(page: Page) -> None:
    badge = page.get_by_test_id("connection-badge").locator(".tidings-badge")
    await expect(badge).to_have_attribute("data-state", "refreshing", timeout=REFRESHING_MS_MAX)
    await expect(badge).to_have_attribute("data-tone", "neutral")
    await expect(badge.get_by_role("status")).to_contain_text("get through")


async def refetches_every_ten_seconds(page: Page, gift_list: GiftList, proxy: FaultProxy, write: Write) -> None:
    """Counted at the proxy; what was written since the last time is shown by the next."""
    # Once when it was opened, and once when the last transport had failed.
    read = await until(lambda: reads(proxy), lambda count: count >= 2, within_seconds=2)
    began_at = time.monotonic()
    await write("Shown by the next refetch")
    await until(lambda: reads(proxy), lambda count: count > read, within_seconds=REFETCH_SECONDS + 2)
    assert time.monotonic() - began_at > REFETCH_SECONDS - 2
    await shows_the_database(page, gift_list, LIST, within_seconds=1)


async def refreshes_by_hand(page: Page, gift_list: GiftList, proxy: FaultProxy, write: Write) -> None:
    """The badge's button fetches now, not at the next interval."""
    await write("Asked for by hand")
    button = page.get_by_test_id("connection-badge").get_by_role("button", name="Refresh now")
    await button.click()
    await shows_the_database(page, gift_list, LIST, within_seconds=1)
    await says_that_it_refreshes(page)


async def reads(proxy: FaultProxy) -> int:
    return proxy.requests[READ]


async def now() -> float:
    return time.monotonic()


@pytest.mark.nightly
@pytest.mark.parametrize("blocked_from", ["the start", "later"])
async def test_with_everything_swallowed_it_refetches_and_comes_back(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, figures: Figures, blocked_from: str
) -> None:
    """No request is refused, so each step takes the time that a dial has. What is shown works all the while."""
    windows.allow(CHROMIUM_SAYS, at_most=20)
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    if blocked_from == "the start":
        block(proxy, "stalled", *ALL)
    page = await windows.open(gift_list.address("ana", LIST, through=proxy.http), reduced_motion="reduce")
    await expect(page.get_by_test_id("gift-name")).to_have_count(4)
    badge = page.get_by_test_id("connection-badge").locator(".tidings-badge")
    if blocked_from == "later":
        await carried_by(page, "websocket")
        block(proxy, "stalled", *ALL)
        proxy.cut("/realtime/ws")
    began_at = time.monotonic()
    await expect(badge).to_have_attribute("data-state", "refreshing", timeout=SWALLOWED_SECONDS_MAX * 1000)
    figures.add(f"swallowed from {blocked_from}, told by the badge", after_ms=(time.monotonic() - began_at) * 1000)
    async with gift_list.writer("ben", LIST) as write:
        for number in range(3):
            read, asked_at = proxy.requests[READ], time.monotonic()
            await write(f"Swallowed {number}")
            await until(lambda: reads(proxy), lambda count, seen=read: count > seen, within_seconds=REFETCH_SECONDS + 2)  # type: ignore[misc]
            if number > 0:
                assert time.monotonic() - asked_at > REFETCH_SECONDS - 2
            await shows_the_database(page, gift_list, LIST, within_seconds=1)
        # What is on its way is lost for good: only a new dial can do better.
        for path in (path for paths in PATHS.values() for path in paths):
            proxy.cut(path, how="silent")
        proxy.heal()
        healed_at = time.monotonic()
        await carried_by(page, "websocket", within_seconds=2 * BACK_SECONDS_MAX)
        figures.add("no longer swallowed, back on WebSocket", after_ms=(time.monotonic() - healed_at) * 1000)
        await write("At the end")
        await shows_the_database(page, gift_list, LIST)
