"""A laptop that is closed and opened: the network forgot its connections, and nobody told the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.following import carried_by, record, told
from tests.browser.gift_list import GiftList, shows_the_database
from tests.browser.tabs import Tabs, chromium_with_tabs
from tests.browser.windows import Windows
from tests.faults.proxy import FaultProxy, fault_proxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIST = "mia-seven"
TOPIC = f"gift-list:{LIST}"
READ = f"/api/lists/{LIST}"
# Longer than the page's clock may be late, shorter than the silence after which a link is doubted anyway.
ASLEEP_SECONDS = 20
# A quarter of a second to wake, three for the question whether somebody is there, and the dial.
WHOLE_SECONDS_MAX = 5


async def opened(page: Page, gift_list: GiftList, proxy: FaultProxy) -> None:
    await page.goto(gift_list.address("ana", LIST, through=proxy.http))
    await carried_by(page, "websocket")
    await record(page, TOPIC)
    await expect(page.get_by_test_id("gift-name")).to_have_count(4)


async def test_a_clock_that_jumped_makes_the_page_ask(windows: Windows, gift_list: GiftList, proxy: FaultProxy) -> None:
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    page = await windows.blank()
    await page.clock.install()
    await opened(page, gift_list, proxy)
    async with gift_list.writer("ben", LIST) as write:
        read = proxy.requests[READ]
        assert proxy.cut("/realtime/ws", how="silent") == 1
        names = ["While it slept 1", "While it slept 2"]
        for name in names:
            await write(name)
        await page.clock.fast_forward(ASLEEP_SECONDS * 1000)
        await shows_the_database(page, gift_list, LIST, within_seconds=WHOLE_SECONDS_MAX)
        assert await told(page) == names
        assert proxy.requests[READ] == read, "it has fetched anew"


@pytest.mark.nightly
async def test_a_browser_that_stood_still_ends_whole(gift_list: GiftList, tmp_path: Path) -> None:
    """The whole browser is stopped by the system, as a sleep does it, and every clock goes on without it."""
    async with fault_proxy(gift_list.port) as proxy, chromium_with_tabs(tmp_path) as (browser, process):
        tabs = Tabs(browser)
        tabs.allow(r"\[tidings\] disconnected", at_most=1)
        page = await tabs.blank()
        await opened(page, gift_list, proxy)
        async with gift_list.writer("ben", LIST) as write:
            process.stand_still()
            proxy.cut("/realtime/ws", how="silent")
            names = ["While it slept 1", "While it slept 2"]
            for name in names:
                await write(name)
            await asyncio.sleep(ASLEEP_SECONDS)  # the time itself is what is tested
            process.go_on()
            await shows_the_database(page, gift_list, LIST, within_seconds=WHOLE_SECONDS_MAX)
            assert await told(page) == names
        await tabs.close()
