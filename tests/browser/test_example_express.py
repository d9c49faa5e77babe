"""The gift list with Express, SWR and ``tidings serve``: two windows, a change, a disconnect, a rollback."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.browser.bundles import build_if_older, build_package
from tests.browser.gift_list import CLAIM, CLAIMED_BY_ME, LET_GO, add_gift, names_shown, row
from tests.browser.processes import ROOT, START_SECONDS_MAX, Process, free_port
from tests.browser.waiting import until
from tests.browser.windows import Windows
from tests.conformance.test_deploy_files import _AROUND as AROUND
from tests.nginx import nginx_program

pytestmark = [pytest.mark.nightly, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EXAMPLE = ROOT / "examples" / "gift-list-express"
COMMANDS = ROOT / ".venv" / "bin"
LIST = "mia-seven"
SEEDED = 4
SECRET = "0123456789abcdef0123456789abcdef"


class ExpressList:
    """Express and ``tidings serve``, each a process of its own, with a fresh database in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.said_rightly: list[str] = []  # lines of Express that a test expects
        self.database = folder / "gifts.sqlite3"
        port, tidings_port = free_port(), free_port()
        self.http = f"http://127.0.0.1:{port}"
        env = {
            "GIFT_LIST_PORT": str(port), "GIFT_LIST_DATABASE": str(self.database),
            "GIFT_LIST_WEB": str(EXAMPLE / "web" / "dist"), "GIFT_LIST_TIDINGS_URL": f"http://127.0.0.1:{tidings_port}",
            "TIDINGS_SECRET": SECRET, "TIDINGS_API_KEYS": SECRET, "TIDINGS_WEBHOOK_SECRET": SECRET,
            "TIDINGS_WEBHOOK_URL": f"{self.http}/tidings", "TIDINGS_WEBHOOK_CALLS": "subscribe",
            "TIDINGS_TOPICS": "gift-list,gift-claims", "TIDINGS_LOG_LEVEL": "warning",
        }  # fmt: skip
        self.express = Process(["node", str(EXAMPLE / "src" / "main.js")], log=folder / "express.log", env=env)
        serve = [str(COMMANDS / "tidings"), "serve", "--port", str(tidings_port)]
        self.tidings = Process(serve, log=folder / "tidings.log", env=env)
        self.tidings_address = f"127.0.0.1:{tidings_port}"

    async def start(self) -> None:
        self.express.start()
        await self.start_tidings()
        await answers(f"{self.http}/healthz")

    async def start_tidings(self) -> None:
        self.tidings.start()
        await answers(f"http://{self.tidings_address}/readyz")

    def stop(self) -> None:
        self.tidings.stop()
        self.express.stop()

    def address(self, member: str, list_id: str) -> str:
        return f"{self.http}/?as={member}#/{list_id}"

    def names(self, list_id: str) -> list[str]:
        """The names on a list as the database holds them, in the order of the page."""
        query = "SELECT name FROM gifts WHERE list_id = ? AND NOT removed ORDER BY added_at, id"
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            return [name for (name,) in connection.execute(query, (list_id,))]


async def answers(url: str) -> None:
    async def look() -> bool:
        try:
            async with httpx.AsyncClient(timeout=2) as client:
                return (await client.get(url)).status_code == 200
        except httpx.TransportError:
            return False

    await until(look, bool, within_seconds=START_SECONDS_MAX)


@pytest.fixture(scope="module")
def express_pages() -> None:
    """The pages are built."""
    build_package()
    shared = ROOT / "examples" / "gift-list" / "web"
    sources = [EXAMPLE / "web" / "src", EXAMPLE / "web" / "vite.config.ts", shared / "src", ROOT / "js" / "dist"]
    build_if_older(sources, EXAMPLE / "web" / "dist" / "index.html", "gift-list-express")


@pytest_asyncio.fixture(loop_scope="session")
async def example(express_pages: None, windows: Windows, tmp_path: Path) -> AsyncIterator[ExpressList]:
    one = ExpressList(tmp_path)
    try:
        await one.start()
        yield one
        await windows.close()
    finally:
        one.stop()
    expected = [f"Open {one.http}", *one.said_rightly]
    lines = one.express.log.read_text().splitlines()
    assert [line for line in lines if not any(re.match(pattern, line) for pattern in expected)] == []


async def two_windows(windows: Windows, example: ExpressList) -> tuple[Page, Page]:
    """Ana's and Ben's, on the same list, both live."""
    # With less motion, for Playwright's clicks wait until nothing moves.
    ana = await windows.open(example.address("ana", LIST), reduced_motion="reduce")
    ben = await windows.open(example.address("ben", LIST), reduced_motion="reduce")
    for page in (ana, ben):
        await expect(page.get_by_test_id("gift-name")).to_have_count(SEEDED)
        await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live")
    return ana, ben


async def test_what_one_does_the_other_sees(windows: Windows, example: ExpressList) -> None:
    ana, ben = await two_windows(windows, example)
    await ben.evaluate("window.sameDocument = true")
    await add_gift(ana, "A kite", note="Red", price="24.50")
    await expect(row(ben, "A kite")).to_contain_text("24.50")
    await row(ben, "A kite").get_by_role("button", name=CLAIM).click()
    await expect(row(ana, "A kite")).to_contain_text("Ben is getting it")
    await row(ben, "A kite").get_by_role("button", name=LET_GO).click()
    await expect(row(ana, "A kite")).to_have_attribute("data-claimed", "")
    await row(ana, "A kite").get_by_role("button", name="Change").click()
    await ana.get_by_label("Name").fill("A bigger kite")
    await ana.get_by_role("button", name="Save").click()
    await expect(row(ben, "A bigger kite")).to_be_visible()
    await row(ana, "A bigger kite").get_by_role("button", name="Remove").click()
    await expect(row(ben, "A bigger kite")).to_have_count(0)
    assert await ben.evaluate("window.sameDocument") is True, "the page was loaded anew"
    assert await names_shown(ben) == await names_shown(ana) == example.names(LIST)
    # One request each: what came later came as events.
    fetched = "performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/mia-seven')).length"
    assert await ben.evaluate(fetched) == 1


async def test_who_the_list_is_for_sees_no_claims(windows: Windows, example: ExpressList) -> None:
    ana, _ = await two_windows(windows, example)
    mia = await windows.open(example.address("mia", LIST))
    await expect(mia.get_by_test_id("connection-badge")).to_contain_text("Live")
    await row(ana, "A tent for indoors").get_by_role("button", name=CLAIM).click()
    await expect(row(ana, "A tent for indoors")).to_have_attribute("data-waiting", "false")
    await add_gift(ana, "After the claim")
    await expect(row(mia, "After the claim")).to_be_visible()
    events = await mia.evaluate("wire.received.map(frame => JSON.parse(frame)).filter(frame => !frame.type)")
    assert [(event["topic"], event["event"]) for event in events] == [(f"gift-list:{LIST}", "ADDED")]


async def test_a_refused_claim_is_taken_back_with_a_message(windows: Windows, example: ExpressList) -> None:
    conflict = windows.allow(r"responded with a status of 409", at_most=1)
    ana, ben = await two_windows(windows, example)
    held: asyncio.Queue[Route] = asyncio.Queue()
    await ben.route("**/api/gifts/*/claim", held.put)
    name = "A tent for indoors"
    await row(ben, name).get_by_role("button", name=CLAIM).click()
    await expect(row(ben, name)).to_contain_text(CLAIMED_BY_ME)
    request = await asyncio.wait_for(held.get(), 5)
    await row(ana, name).get_by_role("button", name=CLAIM).click()
    await expect(row(ana, name)).to_have_attribute("data-waiting", "false")
    await request.continue_()
    await expect(ben.get_by_test_id("toast")).to_contain_text("Ana has already claimed this")
    await expect(row(ben, name)).to_contain_text("Ana is getting it")
    assert len(conflict.seen) == 1


@pytest.mark.parametrize("killed", ["tidings", "express"])
async def test_what_is_made_while_a_server_is_away_is_there_in_the_end(
    windows: Windows, example: ExpressList, killed: str
) -> None:
    windows.allow(r"WebSocket connection to .* failed|net::ERR_|responded with a status of 50[02]", at_most=60)
    windows.allow(r"\[tidings\] disconnected", at_most=2)
    ana, ben = await two_windows(windows, example)
    process = example.tidings if killed == "tidings" else example.express
    process.kill()
    for page in (ana, ben):
        await expect(page.get_by_test_id("connection-badge")).not_to_contain_text("Live")
    await add_gift(ana, "While it was away")
    await expect(row(ana, "While it was away")).to_be_visible()
    if killed == "tidings":
        # Express is there, so the change is made at once, though nobody can be told.
        await until(lambda: names(example), lambda found: "While it was away" in found)
        example.said_rightly.append("the Tidings server did not answer: ECONNREFUSED")
        await example.start_tidings()
    else:
        await expect(row(ana, "While it was away")).to_have_attribute("data-waiting", "true")
        process.start()
        await answers(f"{example.http}/healthz")
    for page in (ana, ben):
        await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live", timeout=40_000)
    await expect(row(ana, "While it was away")).to_have_attribute("data-waiting", "false", timeout=40_000)
    for page in (ana, ben):
        await expect(page.get_by_test_id("gift-name")).to_have_text(example.names(LIST), timeout=20_000)
    assert example.names(LIST).count("While it was away") == 1


async def test_make_example_prints_where_to_open_it(express_pages: None, tmp_path: Path) -> None:
    port = free_port()
    env = {"PATH": f"{COMMANDS}:{os.environ['PATH']}", "GIFT_LIST_PORT": str(port)}
    env["GIFT_LIST_DATABASE"] = str(tmp_path / "gifts.sqlite3")
    started = Process([str(EXAMPLE / "start")], log=tmp_path / "start.log", env=env)
    started.start()
    try:
        await answers(f"http://127.0.0.1:{port}/healthz")
        await answers(f"http://127.0.0.1:{port}/")
    finally:
        started.stop()
    assert started.log.read_text() == f"Open http://127.0.0.1:{port}\n"


async def test_nginx_puts_both_behind_one_address(windows: Windows, example: ExpressList, tmp_path: Path) -> None:
    program, port = nginx_program(), free_port()
    site = (EXAMPLE / "deploy" / "nginx.conf").read_text()
    for before, after in {
        "127.0.0.1:8000": example.tidings_address, "127.0.0.1:3000": example.http.removeprefix("http://"),
        "listen 80;": f"listen 127.0.0.1:{port};",
    }.items():  # fmt: skip
        assert before in site
        site = site.replace(before, after)
    (tmp_path / "site.conf").write_text(site)
    (tmp_path / "nginx.conf").write_text(AROUND.format(folder=tmp_path))
    nginx = Process([program, "-c", str(tmp_path / "nginx.conf")], log=tmp_path / "nginx.log")
    nginx.start()
    try:
        await answers(f"http://127.0.0.1:{port}/healthz")
        page = await windows.open(f"http://127.0.0.1:{port}/?as=ana#/{LIST}")
        await expect(page.get_by_test_id("connection-badge")).to_contain_text("Live")
        await add_gift(page, "Through nginx")
        await expect(row(page, "Through nginx")).to_have_attribute("data-waiting", "false")
        assert await page.evaluate("wire.received.length") > 1, "no frame of a WebSocket came"
        async with httpx.AsyncClient() as client:
            assert (await client.post(f"http://127.0.0.1:{port}/tidings", content=b"{}")).status_code == 404
        await windows.close()
    finally:
        nginx.stop()


async def names(example: ExpressList) -> list[str]:
    return example.names(LIST)
