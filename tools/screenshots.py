"""The pictures of the README, made from the running example: ``python -m tools.screenshots`` from the root.

Two people's windows side by side, light and dark, and a phone in both. The families, the changes that are seen
and the day are always the same, so a picture differs only where the pages do.
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
import tempfile
from contextlib import closing
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, ViewportSize

from tests.browser.bundles import build_example
from tests.browser.gift_list import CLAIM, GiftList, add_gift, row
from tests.browser.processes import ROOT
from tests.browser.windows import Windows, chromium

IMAGES = ROOT / "docs" / "images"
WINDOW: ViewportSize = {"width": 640, "height": 820}
PHONE: ViewportSize = {"width": 390, "height": 844}
GAP_PX = 16
LIST = "mia-seven"
WISH = "A kite that loops"
CLAIMED = "A tent for indoors"
DAY = date(2026, 6, 1)
SCHEMES = ("light", "dark")


async def main() -> None:
    build_example()
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with chromium() as browser:
        for scheme in SCHEMES:
            with tempfile.TemporaryDirectory() as folder:
                server = GiftList(Path(folder))
                try:
                    await server.serve()
                    await _take(browser, server, scheme)
                finally:
                    server.stop()


async def _take(browser: Browser, server: GiftList, scheme: str) -> None:
    """All pictures of one colour scheme, from one fresh database."""
    _set_day(server.database)
    windows = Windows(browser)
    ana = await _open(windows, server.address("ana", LIST), scheme, viewport=WINDOW)
    ben = await _open(windows, server.address("ben", LIST), scheme, viewport=WINDOW)
    phone = await _open(windows, server.address("rose", LIST), scheme, viewport=PHONE, has_touch=True, is_mobile=True)
    for page in (ana, ben, phone):
        await row(page, CLAIMED).wait_for()
    await add_gift(ana, WISH, note="Two lines, please", price="24.50")
    for page in (ben, phone):
        await row(page, WISH).wait_for()
    await row(ben, CLAIMED).get_by_role("button", name=CLAIM).click()
    for page in (ana, phone):
        await row(page, CLAIMED).get_by_text("Ben is getting it").wait_for()
    pictures = [await _shot(ana), await _shot(ben)]
    (IMAGES / f"phone-{scheme}.png").write_bytes(await _shot(phone))
    (IMAGES / f"two-windows-{scheme}.png").write_bytes(await _side_by_side(windows, pictures, scheme))
    await windows.close()


def _set_day(database: Path) -> None:
    """The lists are dated from the day on which they were made; now that is always the same."""
    days = (DAY - date.today()).days
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE gift_lists SET due_on = date(due_on, ?)", (f"{days} days",))


async def _open(windows: Windows, url: str, scheme: str, **options: Any) -> Page:
    """A window whose page believes that it is noon on the day of the pictures."""
    look = {"color_scheme": scheme, "reduced_motion": "reduce", "device_scale_factor": 2, "locale": "en-GB"}
    page = await windows.blank(**look, **options)
    await page.clock.install(time=datetime.combine(DAY, time(12)))
    await page.goto(url)
    return page


async def _shot(page: Page) -> bytes:
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement?.blur(); scrollTo(0, 0)")
    # Until nothing moves: the outline of what has changed, the dialog on its way out.
    await page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
    return await page.screenshot()


async def _side_by_side(windows: Windows, pictures: list[bytes], scheme: str) -> bytes:
    """One picture of the two, on the README's own background."""
    sources = "".join(
        f'<img width="{WINDOW["width"]}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        for picture in pictures
    )
    size: ViewportSize = {"width": WINDOW["width"] * 2 + GAP_PX * 3, "height": WINDOW["height"] + GAP_PX * 2}
    page = await windows.blank(viewport=size, device_scale_factor=2, color_scheme=scheme)
    await page.set_content(f"""<!doctype html><html lang="en"><style>
        body {{ margin: {GAP_PX}px; display: flex; gap: {GAP_PX}px }}
        img {{ border-radius: 12px; box-shadow: 0 0 0 1px #8884, 0 8px 24px #0003 }}
    </style>{sources}""")
    await page.wait_for_function("[...document.images].every(image => image.complete)")
    return await page.screenshot(omit_background=True)


if __name__ == "__main__":
    asyncio.run(main())
