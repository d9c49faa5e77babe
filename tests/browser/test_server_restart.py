"""``kill -9`` of the server while a page watches and another process keeps adding gifts."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.figures import Figures
from tests.browser.gift_list import GiftList, add_gift, names_shown, row
from tests.browser.processes import ROOT, Process
from tests.browser.waiting import until
from tests.browser.windows import Allowance, Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LIST = "mia-seven"
WRITTEN = 60
WRITTEN_BEFORE = 10
# Chromium itself writes a line for each attempt that fails, which no page can prevent: one for a WebSocket, one
# for a fetch. What counts is that there are few attempts. Tidings adds one line in an outage.
CHROMIUM_LINES_MAX = 30


@pytest.fixture
def writer(gift_list: GiftList, tmp_path: Path) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.browser.apps.writer", gift_list.http, "ben", LIST, str(WRITTEN)]
    process = Process(command, log=tmp_path / "writer.log", env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"})
    process.start()
    yield process
    process.kill()


async def test_the_page_ends_with_what_the_database_holds(
    windows: Windows, gift_list: GiftList, writer: Process, figures: Figures
) -> None:
    failed = windows.allow(r"WebSocket connection to .* failed|net::ERR_", at_most=CHROMIUM_LINES_MAX)
    told = windows.allow(r"\[tidings\] disconnected", at_most=1)
    page = await windows.open(gift_list.address("ana", LIST))
    badge = page.get_by_test_id("connection-badge")
    await expect(badge).to_contain_text("Live")
    await until(lambda: count_shown(page), lambda shown: shown >= WRITTEN_BEFORE)

    gift_list.kill()
    killed_at = time.monotonic()
    await expect(badge).to_contain_text("Reconnecting")
    figures.add("server killed, told by the badge", after_ms=(time.monotonic() - killed_at) * 1000)
    assert 0 < len(confirmed(writer)) < WRITTEN, "the writer is not in the middle of its work"
    assert await page.evaluate("wire.alive") <= 1

    await stays_usable(page)
    await expect(badge).to_contain_text(re.compile("You.re offline"), timeout=15_000)
    await expect(badge.get_by_role("button", name="Try now")).to_be_visible()
    down_seconds = time.monotonic() - killed_at

    await gift_list.serve()
    started_at = time.monotonic()
    await expect(badge).to_contain_text("Live", timeout=40_000)
    figures.add("server back, page live again", after_ms=(time.monotonic() - started_at) * 1000)
    await until(lambda: done(writer), bool, within_seconds=20)
    written = confirmed(writer)
    assert written == [f"Written {number:03}" for number in range(WRITTEN)]

    held = await until(lambda: agreed(page, gift_list), bool, within_seconds=10)
    assert set(written) <= set(held)
    assert held.count("While it was away") == 1
    assert len(held) == len(set(held)) == 4 + WRITTEN + 1
    await expect(row(page, "While it was away")).to_have_attribute("data-waiting", "false")
    assert await page.evaluate("window.sameDocument") is True, "the page was loaded anew"
    no_flood(failed, told, down_seconds)
    figures.add(f"console lines of Chromium in {down_seconds:.0f} s without a server", lines=len(failed.seen))


async def stays_usable(page: Page) -> None:
    """What is shown stays; what one does is shown at once, and said to be waiting."""
    await page.evaluate("window.sameDocument = true")
    shown = await names_shown(page)
    assert len(shown) >= 4 + WRITTEN_BEFORE
    await add_gift(page, "While it was away")
    await expect(row(page, "While it was away")).to_be_visible(timeout=1_000)
    await expect(row(page, "While it was away")).to_contain_text("Waiting to be sent")
    assert await names_shown(page) == [*shown, "While it was away"]
    await expect(page.get_by_test_id("toast")).to_have_count(0)


def no_flood(failed: Allowance, told: Allowance, down_seconds: float) -> None:
    """About two attempts a second at the very most, and one line of ours."""
    assert 1 <= len(failed.seen) <= max(5, 2 * down_seconds), failed.seen
    assert len(told.seen) == 1


async def count_shown(page: Page) -> int:
    return await page.locator("[data-testid=gift-name]:text('Written')").count()


async def done(writer: Process) -> bool:
    if writer.exit_status not in (None, 0):
        raise AssertionError(f"the writer failed:\n{writer.log.read_text()}")
    return writer.exit_status == 0


def confirmed(writer: Process) -> list[str]:
    return writer.log.read_text().splitlines()


async def agreed(page: Page, gift_list: GiftList) -> list[str]:
    """The names on the page where they are those of the database, in its order; else nothing."""
    shown = await names_shown(page)
    return shown if shown == gift_list.names(LIST) else []
