"""The two halves of the README together: its application, its page, and a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.waiting import until
from tests.browser.windows import Windows, chromium
from tests.docs.scripts import bundle, link_packages
from tests.docs.shell import Shell, post
from tests.docs.snippets import ROOT, snippets_of

# The README's own application, which also serves its page.
WITH_PAGE = """
from app import app
from starlette.staticfiles import StaticFiles

app.mount("/", StaticFiles(directory="page", html=True))
"""

PAGE = """<!doctype html>
<html lang="en"><title>Gifts</title><link rel="icon" href="data:,"><div id="root"></div>
<script type="module" src="page.js"></script></html>
"""

ENTRY = """
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './gifts';

const root = document.getElementById('root');
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
"""


def write_application(folder: Path) -> None:
    readme = snippets_of("README.md", (ROOT / "README.md").read_text("utf-8"))
    written = {one.name: one.text for one in readme if one.name}
    assert set(written) == {"app.py", "gifts.tsx"}
    for name, text in {**written, "main.tsx": ENTRY, "with_page.py": WITH_PAGE}.items():
        (folder / str(name)).write_text(text)
    link_packages(folder)
    (folder / "page").mkdir()
    (folder / "page" / "index.html").write_text(PAGE)
    bundle(folder / "main.tsx", folder / "page" / "page.js")


@pytest.mark.browser
async def test_a_gift_that_is_posted_appears_on_the_page(tmp_path: Path) -> None:
    write_application(tmp_path)
    shell = Shell(tmp_path)
    try:
        shell.run("tidings run with_page:app")
        address = f"http://{shell.address}"
        async with chromium() as browser:
            windows = Windows(browser)
            page = await windows.open(address)

            async def shown() -> list[str]:
                return await page.locator("li").all_text_contents()

            expected = ["A kite"]
            await until(shown, lambda gifts: gifts == expected)
            for name in ("robot", "ball", "drum"):
                post(f"{address}/api/gifts/{name}")
                expected.append(name)
                await until(shown, lambda gifts: gifts == expected, within_seconds=5)
            await windows.close()
    finally:
        shell.close()
