"""A browser as people run it: tabs that are really hidden, frozen, and kept for the way back."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.processes import Process
from tests.browser.waiting import until
from tests.browser.windows import CHROMIUM, DEADLINE_MS, FLAGS, PROBE, Windows

START_SECONDS_MAX = 20


@asynccontextmanager
async def chromium_with_tabs(folder: Path) -> AsyncIterator[tuple[Browser, Process]]:
    """Debian's Chromium, started by hand: the one that Playwright starts shows every tab at all times."""
    log = folder / "chromium.log"
    flags = [*FLAGS, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder / 'profile'}"]
    process = Process([CHROMIUM, *flags, "about:blank"], log=log)
    process.start()
    try:

        async def address() -> str | None:
            found = re.search(r"ws://\S+", log.read_text())
            return found[0] if found else None

        endpoint = await until(address, bool, within_seconds=START_SECONDS_MAX)
        assert endpoint is not None
        async with async_playwright() as playwright:
            # Without its defaults, among which is that each page takes itself for the one in front.
            browser = await playwright.chromium.connect_over_cdp(endpoint, no_defaults=True)
            yield browser, process
            with contextlib.suppress(Exception):
                await browser.close()
    finally:
        process.kill()


class Tabs(Windows):
    """Tabs of one window, watched as windows are; one behind another is hidden."""

    async def blank(self, **options: Any) -> Page:
        assert not options, "tabs of one window have no options of their own"
        # In contexts that Playwright makes itself, each page takes itself for the one in front again.
        page = await self._browser.contexts[0].new_page()
        page.set_default_timeout(DEADLINE_MS)
        await page.add_init_script(PROBE)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._fault(f"uncaught: {error}"))
        return page

    async def _close_all(self) -> None:
        first, *others = self._browser.contexts[0].pages
        await first.bring_to_front()
        for page in others:
            await page.close()


async def hide(page: Page) -> Page:
    """Another tab comes to the front; it is returned."""
    other = await page.context.new_page()
    await other.bring_to_front()
    await page.wait_for_function("document.visibilityState === 'hidden'", polling=100)
    return other


async def show(page: Page) -> None:
    await page.bring_to_front()
    await page.wait_for_function("document.visibilityState === 'visible'", polling=100)


async def freeze(page: Page) -> None:
    """As Chromium does with a tab that has been hidden for long: no script of it runs any more."""
    session = await page.context.new_cdp_session(page)
    await session.send("Page.setWebLifecycleState", {"state": "frozen"})
    await session.detach()


async def thaw(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    await session.send("Page.setWebLifecycleState", {"state": "active"})
    await session.detach()
