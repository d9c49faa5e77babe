"""What the browser tests share: one Chromium, bundled pages, a bench, and windows that are watched."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.bench import Bench, bench_process
from tests.browser.bundles import build_example, build_package, bundle_pages
from tests.browser.figures import Figures
from tests.browser.gift_list import GiftList
from tests.browser.processes import Server
from tests.browser.tabs import chromium_with_tabs
from tests.browser.windows import Windows, chromium
from tests.faults.proxy import FaultProxy, fault_proxy

FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[FIGURES].lines
    if lines:
        terminalreporter.section("figures")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Figures:
    """Takes what a test has measured; printed at the end of the run."""
    return pytestconfig.stash[FIGURES]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="session")
async def windows(browser: Browser) -> AsyncIterator[Windows]:
    """Windows of this test; it fails if one of their pages had an error or said something unexpected."""
    opened = Windows(browser)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser_with_tabs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium_with_tabs(tmp_path_factory.mktemp("tabs")) as (launched, _):
        yield launched


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the bundled test pages."""
    build_package()
    folder = tmp_path_factory.mktemp("pages")
    bundle_pages(folder)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench_server(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    server = bench_process(pages, tmp_path_factory.mktemp("bench"))
    try:
        await server.serve()
        yield server
    finally:
        server.stop()
    assert server.complaints == "", f"the bench's server complained:\n{server.complaints}"


@pytest_asyncio.fixture(loop_scope="session")
async def bench(bench_server: Server, windows: Windows) -> AsyncIterator[Bench]:
    """The bench, its ledger at zero; when the windows are closed, nothing is left on its server."""
    async with httpx.AsyncClient(timeout=30) as client:
        one = Bench(bench_server.http, client)
        await one.begin()
        yield one
        await windows.close()
        await one.is_empty()


@pytest.fixture(scope="session")
def example_pages() -> None:
    """The pages of the gift list are built."""
    build_example()


@pytest_asyncio.fixture(loop_scope="session")
async def gift_list(example_pages: None, windows: Windows, tmp_path: Path) -> AsyncIterator[GiftList]:
    """The gift list with a fresh database, running."""
    server = GiftList(tmp_path)
    try:
        await server.serve()
        yield server
        await windows.close()
    finally:
        server.stop()
    assert server.complaints == "", f"the server complained:\n{server.complaints}"


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(gift_list: GiftList, windows: Windows) -> AsyncIterator[FaultProxy]:
    """What stands between the windows and the gift list."""
    async with fault_proxy(gift_list.port) as one:
        yield one
        await windows.close()
