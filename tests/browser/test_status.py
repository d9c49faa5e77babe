"""`<tidings-status>`: what it shows and when, and what a machine can tell of its accessibility (P39)."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.browser.bench import Bench
from tests.browser.test_accessibility import DESKTOP, PHONE, fits, has_no_violations
from tests.browser.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OFFLINE = "You're offline. Showing what we had at"
# State, what the badge says, and what the banner begins with; None where there is no banner.
STATES: list[tuple[str, str, str | None]] = [
    ("live", "Live", None),
    ("connecting", "Connecting…", None),
    ("reconnecting", "Reconnecting…", None),
    ("offline", "Offline", OFFLINE),
    ("waiting", "Offline", OFFLINE),
    ("refreshing", "Refreshing", "Live updates can't get through."),
    ("signIn", "Not live", "Please sign in again"),
    ("refused", "Not live", "Live updates are switched off."),
    ("failed", "Not live", "We couldn't reach the server."),
    ("paused", "Live updates are paused.", None),
]
BLINK_MS = 300


async def opened(windows: Windows, bench: Bench, **look: Any) -> Page:
    page = await windows.open(bench.page("status"), **look)
    await page.wait_for_function("window.show !== undefined")
    return page


async def seen(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate("seen()")
    return found


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_each_state(
    windows: Windows, bench: Bench, scheme: Literal["light", "dark"], viewport: ViewportSize
) -> None:
    page = await opened(windows, bench, color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    title = page.get_by_role("heading", level=1)
    await page.evaluate("show('live')")
    before = await title.bounding_box()
    for state, badge, banner in STATES:
        await page.evaluate("state => show(state)", state)
        found = await seen(page)
        assert found["badge"] == badge
        assert (found["banner"] is None) == (banner is None), state
        assert (found["banner"] or "").startswith(banner or ""), state
        # Only what matters is read out, and then all of it.
        assert found["announced"] == (found["banner"] or ""), state
        await has_no_violations(page, state)
        await fits(page)
        if viewport == DESKTOP:
            assert await title.bounding_box() == before, f"{state} pushed the page"
    await page.evaluate("show('waiting')")
    assert (await seen(page))["banner"].endswith("Your 2 changes are kept and will be sent.")


async def test_without_a_banner_the_badge_says_it_all(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench, viewport=PHONE)
    await page.evaluate("show('offline', {})")
    found = await seen(page)
    assert found["banner"] is None
    assert found["badge"].startswith(OFFLINE)
    assert found["announced"] == found["badge"]
    await has_no_violations(page, "offline")
    await fits(page)


async def test_a_blink_is_not_shown(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench)
    await page.evaluate("show('live'); watch()")
    await page.get_by_label("Name").focus()
    await page.evaluate(
        """ms => new Promise((done) => {
          told.set({ state: 'reconnecting', reason: 'lost', lastLiveAt: Date.now() });
          setTimeout(() => { told.set({ state: 'live', reason: null, lastLiveAt: null }); done(); }, ms);
        })""",
        BLINK_MS,
    )
    # A whole second more: what was held back would come now.
    await page.evaluate("() => new Promise((done) => setTimeout(done, 1000))")
    found = await page.evaluate("({ changes: found.changes, samples: [...found.samples] })")
    assert {json.loads(sample)["badge"] for sample in found["samples"]} == {"Live"}
    assert {json.loads(text)["badge"] for _, text in found["changes"]} <= {"Live"}


async def test_trouble_is_shown_after_a_second_and_its_end_told(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench)
    await page.evaluate("show('live'); watch()")
    field = page.get_by_label("Name")
    await field.focus()
    await page.evaluate("told.set({ state: 'reconnecting', reason: 'lost', lastLiveAt: Date.now() })")
    await page.wait_for_function("seen().badge === 'Reconnecting…'")
    at_ms = await page.evaluate("found.changes.find(([, text]) => JSON.parse(text).badge === 'Reconnecting…')[0]")
    assert 1_000 <= at_ms <= 1_500
    assert (await seen(page))["announced"] == "", "not each attempt"
    # Once shown it stays for a second, and then says that it is over.
    await page.evaluate("told.set({ state: 'live', reason: null, lastLiveAt: null })")
    assert (await seen(page))["badge"] == "Reconnecting…"
    await page.wait_for_function("seen().badge === 'Back online'")
    assert (await seen(page))["announced"] == "Back online"
    await page.wait_for_function("seen().badge === 'Live'")
    await expect(field).to_be_focused()


async def test_its_button_asks(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench)
    await page.evaluate("show('offline')")
    await page.get_by_role("button", name="Try now").click()
    assert await page.evaluate("told.asked") == 1
    # What the application takes on itself is not done twice.
    await page.evaluate("addEventListener('tidings-retry', (event) => event.preventDefault())")
    await page.get_by_role("button", name="Try now").click()
    assert await page.evaluate("told.asked") == 1
    await page.evaluate("show('signIn', { banner: '' })")
    await expect(page.get_by_role("button")).to_have_count(0)


async def test_the_page_s_styles_stay_outside(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench)
    await page.evaluate("show('offline')")
    colour = "getComputedStyle(document.querySelector('tidings-status').shadowRoot.querySelector('[part={}]')).{}"
    pink = "rgb(255, 105, 180)"
    assert await page.evaluate(colour.format("banner-action", "backgroundColor")) != pink
    assert await page.evaluate(colour.format("text", "color")) != pink
    await page.add_style_tag(content="tidings-status::part(banner) { background: rgb(1, 2, 3) }")
    assert await page.evaluate(colour.format("banner", "backgroundColor")) == "rgb(1, 2, 3)"


async def test_in_react(windows: Windows, bench: Bench) -> None:
    page = await opened(windows, bench)
    await page.evaluate("inReact()")
    await page.wait_for_function("seen().badge === 'En direct'")
    await page.evaluate("told.set({ state: 'blocked', reason: 'unauthorized' })")
    await page.get_by_role("button", name="Sign in").click()
    assert await page.evaluate("window.signedIn") is True
