"""Who else looks at the list: seen soon, and gone soon, however they went."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.gift_list import GiftList
from tests.browser.measuring import elapsed_ms, stamp_actions, watch
from tests.browser.waiting import until
from tests.browser.windows import Windows, chromium

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIST, OTHER_LIST = "mia-seven", "ben-wishes"
SEEN_MS_MAX = 300
GONE_SECONDS_MAX = 5  # a loss is held for 2 s, for most are back in a moment
FACES = "document.querySelectorAll('[data-testid=onlookers] li').length === Number(argument)"


async def onlookers(page: Page) -> list[str]:
    """The accessible names of the faces."""
    faces = page.get_by_role("list", name="Looking at this list too").get_by_role("listitem")
    return sorted(await faces.locator(".sr-only").all_inner_texts())


async def see(page: Page, *names: str, within_seconds: float = 10) -> None:
    await until(lambda: onlookers(page), lambda seen: seen == sorted(names), within_seconds=within_seconds)


async def test_who_opens_the_list_is_seen_within_a_moment_and_who_closes_it_is_gone(
    windows: Windows, gift_list: GiftList
) -> None:
    ana = await windows.open(gift_list.address("ana", LIST), reduced_motion="reduce")
    ben = await windows.open(gift_list.address("ben", OTHER_LIST), reduced_motion="reduce")
    for page in (ana, ben):
        await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live")
        await see(page)
    await stamp_actions(ben)
    await watch(ana, FACES, "1")
    await ben.get_by_role("link", name="Mia turns seven").click()
    assert await elapsed_ms(ben, ana) <= SEEN_MS_MAX
    await see(ana, "Ben")
    await see(ben, "Ana")
    assert await ana.get_by_test_id("onlookers").get_attribute("title") == "Ben is looking too"

    await watch(ana, FACES, "0")
    await ben.get_by_role("link", name="Forty-two for Ben").click()
    assert await elapsed_ms(ben, ana) <= SEEN_MS_MAX

    second = await windows.open(gift_list.address("ben", LIST), reduced_motion="reduce")
    third = await windows.open(gift_list.address("ben", LIST), reduced_motion="reduce")
    mia = await windows.open(gift_list.address("mia", LIST), reduced_motion="reduce")
    await see(ana, "Ben", "Mia")
    await third.close()
    await mia.close()
    await see(ana, "Ben", within_seconds=2)
    await second.close()
    await see(ana, within_seconds=2)


async def test_a_reload_ends_where_it_began(windows: Windows, gift_list: GiftList) -> None:
    ana = await windows.open(gift_list.address("ana", LIST), reduced_motion="reduce")
    ben = await windows.open(gift_list.address("ben", LIST), reduced_motion="reduce")
    await see(ana, "Ben")
    for _ in range(3):
        await ben.reload()
        await see(ben, "Ana")
    await see(ana, "Ben")


async def test_a_browser_that_is_killed_is_gone_within_the_limit(windows: Windows, gift_list: GiftList) -> None:
    ana = await windows.open(gift_list.address("ana", LIST), reduced_motion="reduce")
    async with chromium() as other:
        ben = await other.new_page()
        await ben.goto(gift_list.address("ben", LIST))
        await see(ana, "Ben")
        for pid in await _processes(other):
            os.kill(pid, signal.SIGKILL)
        await see(ana, within_seconds=GONE_SECONDS_MAX)


async def _processes(browser: Browser) -> list[int]:
    session = await browser.new_browser_cdp_session()
    found = await session.send("SystemInfo.getProcessInfo")
    return [int(one["id"]) for one in found["processInfo"]]
