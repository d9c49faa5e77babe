"""The gift list as the tests use it: its server on a database of its own, and what its pages have to find."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
from playwright.async_api import Locator, Page

from tests.browser.processes import ROOT, Server
from tests.browser.waiting import until

EXAMPLE = ROOT / "examples" / "gift-list"
# Words of the page, with its apostrophe.
CLAIM = "I\u2019ll get it"
CLAIMED_BY_ME = "You\u2019re getting it"
LET_GO = "Let go"


class GiftList(Server):
    """The example's server, with a fresh database in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "gifts.sqlite3"
        env = {"GIFT_LIST_DATABASE": str(self.database), "GIFT_LIST_DATABASE_URL": ""}
        super().__init__("gift_list.main:app", app_dir=EXAMPLE, log=folder / "gift-list.log", env=env)

    def address(self, member: str, list_id: str | None = None, *, through: str | None = None) -> str:
        """The page, signed in as the member; ``through`` another address, its client is there as `__tidings`."""
        start = f"{self.http}/?as={member}" if through is None else f"{through}/?debug&as={member}"
        return f"{start}{f'#/{list_id}' if list_id else ''}"

    @asynccontextmanager
    async def writer(self, member: str, list_id: str) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
        """Adds gifts over the API, as the member, straight to the server; it returns when they are published."""
        async with httpx.AsyncClient(base_url=self.http, timeout=10) as client:
            entered = (await client.post("/api/login", json={"member_id": member})).raise_for_status().json()
            client.headers["Authorization"] = f"Bearer {entered['token']}"

            async def add(name: str) -> None:
                gift = {"id": uuid.uuid4().hex, "name": name, "note": "", "price": None}
                (await client.post(f"/api/lists/{list_id}/gifts", json=gift)).raise_for_status()

            yield add

    def names(self, list_id: str) -> list[str]:
        """The names on a list as the database holds them, in the order of the page."""
        query = "SELECT name FROM gifts WHERE list_id = ? AND NOT removed ORDER BY added_at, id"
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            return [name for (name,) in connection.execute(query, (list_id,))]


def row(page: Page, name: str) -> Locator:
    """The row of the gift of that name."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, exact=True))


async def names_shown(page: Page) -> list[str]:
    return await page.get_by_test_id("gift-name").all_inner_texts()


async def shows_the_database(page: Page, gift_list: GiftList, list_id: str, *, within_seconds: float = 5) -> list[str]:
    """Wait until the page shows what the database holds, each gift once; its names."""
    held = gift_list.names(list_id)
    assert len(held) == len(set(held)), "the test's gifts must have names of their own"
    return await until(lambda: names_shown(page), lambda shown: shown == held, within_seconds=within_seconds)


async def open_form(page: Page) -> Locator:
    await page.get_by_test_id("add-gift").click()
    return page.get_by_test_id("gift-form")


async def add_gift(page: Page, name: str, *, note: str = "", price: str = "") -> None:
    """As a person does it: the button, the form, the button."""
    form = await open_form(page)
    await form.get_by_label("Name").fill(name)
    if note:
        await form.get_by_label("Note").fill(note)
    if price:
        await form.get_by_label("Price").fill(price)
    await form.get_by_role("button", name="Add to the list").click()
