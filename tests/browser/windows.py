"""Browser windows that are watched: what a page should not have said makes its test fail."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEADLINE_MS = 10_000

# In every page, before its own scripts: rejections that nobody handles, and all that its WebSockets do.
PROBE = (Path(__file__).parent / "probe.js").read_text()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Allowance:
    """Console messages that a test expects, and how many came."""

    pattern: re.Pattern[str]
    at_most: int
    seen: list[str] = field(default_factory=list)


class Windows:
    """Opens windows, each a context of its own as another person's browser would be; listens to all they say."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._allowances: list[Allowance] = []
        self._faults: list[str] = []
        self.said: list[str] = []

    async def open(self, url: str, **options: Any) -> Page:
        """A window at the address, when its page has loaded; ``options`` are those of a Playwright context."""
        page = await self.blank(**options)
        await page.goto(url)
        return page

    async def blank(self, **options: Any) -> Page:
        """A window with nothing in it yet."""
        context = await self._browser.new_context(**options)
        self._contexts.append(context)
        context.set_default_timeout(DEADLINE_MS)
        await context.add_init_script(PROBE)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._fault(f"uncaught: {error.error}"))
        return await context.new_page()

    def allow(self, pattern: str, *, at_most: int) -> Allowance:
        """Expect console errors or warnings of this kind, and no more than so many."""
        allowance = Allowance(re.compile(pattern), at_most)
        self._allowances.append(allowance)
        return allowance

    async def close(self) -> None:
        """Close all windows. Raises AssertionError if a page said what it should not have."""
        await self._close_all()
        faults = [
            *self._faults,
            *(
                f"{len(one.seen)} messages like {one.pattern.pattern}, at most {one.at_most} expected"
                for one in self._allowances
                if len(one.seen) > one.at_most
            ),
        ]
        assert faults == [], "\n".join(faults)

    async def _close_all(self) -> None:
        contexts, self._contexts = self._contexts, []
        for context in contexts:
            await context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        self.said.append(f"{message.type}: {message.text}")
        if message.type in ("error", "warning", "assert"):
            self._fault(f"{message.type}: {message.text}")

    def _fault(self, text: str) -> None:
        for allowance in self._allowances:
            if allowance.pattern.search(text):
                allowance.seen.append(text)
                return
        self._faults.append(text)
