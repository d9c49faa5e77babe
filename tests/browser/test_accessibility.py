"""What a machine can tell of accessibility, in each state of the gift list, light and dark, desktop and phone."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.blocking import ALL, block
from tests.browser.gift_list import GiftList, open_form, row
from tests.browser.processes import ROOT
from tests.browser.windows import Windows
from tests.faults.proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
LIST = "leo-ten"
# Fewer would mean that axe looked at an empty page.
RULES_PASSED_MIN = 15


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_violations(
    windows: Windows, gift_list: GiftList, scheme: Literal["light", "dark"], viewport: ViewportSize
) -> None:
    look: dict[str, Any] = {"color_scheme": scheme, "viewport": viewport, "reduced_motion": "reduce"}
    page = await windows.open(gift_list.http, **look)
    await expect(page.get_by_test_id("member-ana")).to_be_visible()
    await has_no_violations(page, "signing in")

    page = await windows.open(gift_list.address("ana", LIST), **look)
    await expect(page.get_by_test_id("gift-name")).to_have_count(6)
    await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live")
    await has_no_violations(page, "a list")
    await fits(page)

    form = await open_form(page)
    await form.get_by_label("Name").fill("A kite")
    await form.get_by_label("Price").fill("a lot")
    await form.get_by_role("button", name="Add to the list").click()
    await has_no_violations(page, "a form with a mistake")
    await page.keyboard.press("Escape")

    await row(page, "Marble run, big box").get_by_role("button", name="Remove").click()
    await expect(page.get_by_test_id("toast")).to_have_count(1)
    await has_no_violations(page, "a message")


async def test_the_badge_without_a_server(windows: Windows, gift_list: GiftList) -> None:
    windows.allow(r"WebSocket connection to .* failed|net::ERR_", at_most=30)
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    page = await windows.open(gift_list.address("chidi", "ada-garden"), viewport=PHONE, reduced_motion="reduce")
    badge = page.get_by_test_id("connection-badge")
    await expect(badge).to_contain_text("Live")
    title = page.get_by_role("heading", level=1)
    before = await title.bounding_box()
    gift_list.kill()
    await expect(badge).to_contain_text("Reconnecting")
    assert before is not None
    assert await title.bounding_box() == before, "the badge pushed the page"
    await has_no_violations(page, "reconnecting")
    assert await badge.evaluate("badge => badge.scrollWidth <= badge.clientWidth"), "its words have no room"
    await expect(badge.get_by_role("status")).to_contain_text("offline", timeout=15_000)
    assert await badge.get_by_role("status").count() == 1
    assert await title.bounding_box() == before, "the badge pushed the page"
    await has_no_violations(page, "offline")
    await fits(page)


async def test_the_badge_while_the_page_refreshes(windows: Windows, gift_list: GiftList, proxy: FaultProxy) -> None:
    """It may stand there for hours: it covers nobody's name, and pushes nothing."""
    windows.allow(r"WebSocket connection to .* failed|Failed to load resource", at_most=30)
    windows.allow(r"\[tidings\] disconnected", at_most=1)
    page = await windows.open(
        gift_list.address("ana", LIST, through=proxy.http), viewport=PHONE, reduced_motion="reduce"
    )
    badge = page.get_by_test_id("connection-badge")
    await expect(badge).to_contain_text("Live")
    title = page.get_by_role("heading", level=1)
    before = await title.bounding_box()
    block(proxy, "refused", *ALL)
    await expect(badge.get_by_role("status")).to_contain_text("refreshes by itself")
    assert await title.bounding_box() == before, "the badge pushed the page"
    await page.get_by_test_id("sign-out").click(trial=True)
    await badge.get_by_role("button", name="Refresh now").click(trial=True)
    await has_no_violations(page, "refreshing")
    await fits(page)


async def has_no_violations(page: Page, state: str) -> None:
    if await page.evaluate("typeof axe === 'undefined'"):
        await page.add_script_tag(path=AXE)
    found = await page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)
    assert len(found["passes"]) >= RULES_PASSED_MIN, (
        f"{state}: only {len(found['passes'])} rules had anything to look at"
    )
    faults = [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]]
    assert faults == [], f"{state}:\n" + "\n".join(faults)


async def fits(page: Page) -> None:
    """Nothing has to be scrolled sideways."""
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
