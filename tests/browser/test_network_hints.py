"""What the browser says of the network changes what a page tries first and how often: hints, what works decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from tests.browser.blocking import ALL, asked, block
from tests.browser.following import carried_by
from tests.browser.gift_list import GiftList
from tests.browser.waiting import until
from tests.browser.windows import Windows
from tests.faults.proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

Hint = Callable[[Page], Awaitable[None]]
LIST = "mia-seven"
READ = f"/api/lists/{LIST}"
CHROMIUM_SAYS = r"WebSocket connection to .* failed|Failed to load resource|net::ERR_"
REFETCH_SECONDS = 10
BELOW_THE_BEST_SECONDS = 10
ROUND_TRIP_OF_2G_MS = 2_100


async def no_hint(_: Page) -> None:
    """A network of which there is nothing to say."""


async def save_data(page: Page) -> None:
    """The person has asked for as little traffic as possible."""
    session = await page.context.new_cdp_session(page)
    await session.send("Emulation.setDataSaverOverride", {"dataSaverEnabled": True})
    assert await page.evaluate("navigator.connection.saveData") is True


async def slow_type(page: Page) -> None:
    """One bar and an E: said only, nothing is slowed."""
    await _say(page, round_trip_ms=ROUND_TRIP_OF_2G_MS)
    assert "2g" in await page.evaluate("navigator.connection.effectiveType")


async def _say(page: Page, round_trip_ms: int) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    network = {"offline": False, "latency": round_trip_ms, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.overrideNetworkState", network)


async def opened(windows: Windows, gift_list: GiftList, proxy: FaultProxy, hint: Hint) -> Page:
    """The gift list on such a network, with a clock that the test moves on."""
    page = await windows.blank()
    await page.clock.install()
    await hint(page)
    await page.goto(gift_list.address("ana", LIST, through=proxy.http))
    await expect(page.get_by_test_id("gift-name")).to_have_count(4)
    return page


async def pass_seconds(page: Page, seconds: int) -> None:
    """The page's clock moves on; what it then asks for at once has reached the proxy when this returns."""
    await page.clock.fast_forward(seconds * 1000)
    await page.evaluate("fetch('/icon.svg', { cache: 'no-store' }).then((response) => response.text())")


@pytest.mark.parametrize(
    ("hint", "times"), [(no_hint, 1), (slow_type, 3), pytest.param(save_data, 3, marks=pytest.mark.nightly)]
)
async def test_without_a_transport_it_refetches_as_often_as_the_network_bears(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, hint: Hint, times: int
) -> None:
    windows.allow(CHROMIUM_SAYS, at_most=60)
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    block(proxy, "refused", *ALL)
    page = await opened(windows, gift_list, proxy, hint)
    badge = page.get_by_test_id("connection-badge").locator(".tidings-badge")
    await expect(badge).to_have_attribute("data-state", "refreshing")
    read = proxy.requests[READ]
    for _ in range(times - 1):
        await pass_seconds(page, REFETCH_SECONDS)
        assert proxy.requests[READ] == read, "it refetches too often"
    await pass_seconds(page, REFETCH_SECONDS)
    await until(lambda: reads(proxy), lambda count: count == read + 1, within_seconds=2)


@pytest.mark.parametrize("hint", [save_data, pytest.param(slow_type, marks=pytest.mark.nightly)])
async def test_it_begins_with_a_stream_and_seldom_asks_for_better(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy, hint: Hint
) -> None:
    page = await opened(windows, gift_list, proxy, hint)
    await carried_by(page, "sse")
    for _ in range(5):
        await pass_seconds(page, BELOW_THE_BEST_SECONDS)
    assert asked(proxy, "websocket") == 0, "it was to wait for a minute"
    await pass_seconds(page, BELOW_THE_BEST_SECONDS)
    await carried_by(page, "websocket")


async def test_a_network_that_becomes_fast_is_used_at_once(
    windows: Windows, gift_list: GiftList, proxy: FaultProxy
) -> None:
    page = await opened(windows, gift_list, proxy, slow_type)
    await carried_by(page, "sse")
    assert asked(proxy, "websocket") == 0
    await _say(page, round_trip_ms=0)
    await carried_by(page, "websocket", within_seconds=2)


async def reads(proxy: FaultProxy) -> int:
    return proxy.requests[READ]
