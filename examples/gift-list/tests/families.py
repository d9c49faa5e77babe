"""Families made for one test, and what a test asks of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx

from gift_list.database import engine, transaction
from gift_list.live import outbox
from gift_list.main import app
from gift_list.models import Family, Gift, GiftList, Member, new_id

relay = outbox.relay(engine)  # to look with; the app's own is at work


@dataclass
class Person:
    """A member with a client that is signed in as them."""

    id: str
    family_id: str
    api: httpx.AsyncClient


@dataclass
class Home:
    """A family of three with one list, which is Leo's."""

    ana: Person
    ben: Person
    leo: Person
    list_id: str

    @property
    def path(self) -> str:
        return f"/api/lists/{self.list_id}"


@dataclass
class Published:
    topic: str
    event: str
    entity_id: str
    payload: Any
    user_id: str
    tenant: str


async def settled() -> None:
    """Return when every event that was committed has been published."""
    deadline = asyncio.get_running_loop().time() + 10
    while (await relay.status()).waiting:
        assert asyncio.get_running_loop().time() < deadline, "what was committed is not published"
        await asyncio.sleep(0.01)


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gifts.test")


@asynccontextmanager
async def new_home() -> AsyncIterator[Home]:
    family_id = new_id()
    names = ["Ana", "Ben", "Leo"]
    ids = [f"{name.lower()}-{family_id}" for name in names]
    due_on = date.today() + timedelta(days=3)
    gift_list = GiftList(id=new_id(), family_id=family_id, owner_id=ids[2], title="Leo turns ten", due_on=due_on)
    async with transaction() as db:
        db.add(Family(id=family_id, name="The Tests"))
        await db.flush()
        for position, (key, name) in enumerate(zip(ids, names, strict=True)):
            db.add(Member(id=key, family_id=family_id, name=name, role="", hue=0, position=position))
        await db.flush()
        db.add(gift_list)
    async with AsyncExitStack() as clients:
        ana, ben, leo = [await _sign_in(await clients.enter_async_context(client()), key) for key in ids]
        yield Home(ana, ben, leo, gift_list.id)


async def _sign_in(api: httpx.AsyncClient, member_id: str) -> Person:
    answer = (await api.post("/api/login", json={"member_id": member_id})).json()
    api.headers["Authorization"] = f"Bearer {answer['token']}"
    return Person(member_id, answer["family"]["id"], api)


async def add_gift(person: Person, list_id: str, **fields: Any) -> dict[str, Any]:
    """A gift added by `person`, as the API answers it."""
    body = {"id": new_id(), "name": "Roller skates", "price": "64.90"} | fields
    answer = await person.api.post(f"/api/lists/{list_id}/gifts", json=body)
    assert answer.status_code == 201, answer.text
    added: dict[str, Any] = answer.json()
    return added


async def stored(gift_id: str) -> Gift:
    """The gift as the database has it."""
    async with transaction() as db:
        return await db.get_one(Gift, gift_id)
