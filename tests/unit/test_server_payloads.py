"""A11: ``publish`` takes what a Python API has in its hands, or raises at the caller; no subscriber is harmed.

Each value goes over a real socket, and the frame that a subscriber gets is held to the schema of the event.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette

from tests.schemas import schema
from tests.servers import Address, serving
from tests.subscribers import read, subscribed
from tidings import ErrorCode, Identity, PublishError, Tidings, UsageError

TOPIC = "gift-list:1"
GIFT_ID = UUID("7f3c2a10-9f5b-4a57-8a43-0d9a4f1f2b6c")
DUE = datetime(2026, 12, 24, 18, 0, tzinfo=UTC)
RECEIVED = schema("event", "received")


class Colour(enum.Enum):
    RED = "red"


class Rank(enum.IntEnum):
    FIRST = 1


@dataclasses.dataclass
class Price:
    amount: Decimal
    currency: str = "EUR"


class Gift(BaseModel):
    id: UUID
    due: datetime
    price: Decimal
    tags: set[str]


class Loose(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    thing: Any


class Claim(msgspec.Struct):
    by: UUID
    at: datetime
    note: str | None = None


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Tidings, Address]]:
    live = Tidings(authenticate=lambda who: Identity(user=who.token), authorize={"gift-list:{list_id}": _everyone})
    app = Starlette()
    live.mount(app)
    async with serving(app) as address:
        yield live, address


def _everyone(_who: Identity, list_id: str) -> bool:
    return bool(list_id)


GOOD: dict[str, tuple[Any, Any]] = {
    "nothing": (None, None),
    "datetime": (DUE, "2026-12-24T18:00:00Z"),
    "datetime of another zone": (
        datetime(2026, 12, 24, 19, tzinfo=timezone(timedelta(hours=1))),
        "2026-12-24T19:00:00+01:00",
    ),
    "datetime without a zone": (datetime(2026, 12, 24, 18, 0), "2026-12-24T18:00:00"),  # noqa: DTZ001, RUF100
    "date": (date(2026, 12, 24), "2026-12-24"),
    "UUID": (GIFT_ID, str(GIFT_ID)),
    "Decimal": (Decimal("19.90"), "19.90"),
    "Enum": (Colour.RED, "red"),
    "IntEnum": (Rank.FIRST, 1),
    "dataclass": (Price(Decimal("19.90")), {"amount": "19.90", "currency": "EUR"}),
    "pydantic model": (
        Gift(id=GIFT_ID, due=DUE, price=Decimal("19.90"), tags={"toy"}),
        {"id": str(GIFT_ID), "due": "2026-12-24T18:00:00Z", "price": "19.90", "tags": ["toy"]},
    ),
    "msgspec model": (
        Claim(by=GIFT_ID, at=DUE),
        {"by": str(GIFT_ID), "at": "2026-12-24T18:00:00Z", "note": None},
    ),
    "set": ({"toy"}, ["toy"]),
    "frozenset": (frozenset({1}), [1]),
    "view of keys": ({"toy": 1}.keys(), ["toy"]),
    "tuple": ((1, "two"), [1, "two"]),
    "mapping of another kind": (MappingProxyType(OrderedDict(a=Decimal("1"))), {"a": "1"}),
    "keys that are no strings": ({GIFT_ID: 1, Colour.RED: 2, 3: 4}, {str(GIFT_ID): 1, "red": 2, "3": 4}),
    "text that looks like the frame's end": ({"note": '"}}],"cursor":"k3f9-1"\u2028\x00'}, ...),
    "models within models": (
        {"gifts": [Loose(thing=Price(Decimal("1"))), {"claims": (Claim(by=GIFT_ID, at=DUE, note="ja"),)}]},
        {
            "gifts": [
                {"thing": {"amount": "1", "currency": "EUR"}},
                {"claims": [{"by": str(GIFT_ID), "at": "2026-12-24T18:00:00Z", "note": "ja"}]},
            ]
        },
    ),
}


@pytest.mark.parametrize("name", list(GOOD))
async def test_what_an_api_has_in_its_hands_arrives_as_json(name: str) -> None:
    payload, arrives = GOOD[name]
    async with server() as (live, address), subscribed(address, "ana", TOPIC) as ana:
        cursor = await live.publish(TOPIC, "UPDATED", entity_id=GIFT_ID, payload=payload)
        event = await read(ana)
        RECEIVED.validate(event)
        assert event["data"]["payload"] == (payload if arrives is ... else arrives)
        assert (event["data"]["entity_id"], event["cursor"]) == (str(GIFT_ID), cursor)


def _nested_in_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _nested(levels: int) -> list[Any]:
    return [] if levels == 1 else [_nested(levels - 1)]


BAD: dict[str, tuple[Any, str]] = {
    "an object": (object(), "data.payload"),
    "a class": (Gift, "data.payload"),
    "a generator": ((n for n in range(3)), "data.payload"),
    "half of a surrogate pair": ({"name": "\ud800"}, "data.payload.name"),
    "a key that is a tuple": ({"grid": {(1, 2): "x"}}, "data.payload.grid"),
    "within a list of a dict": ({"gifts": [{"ok": 1}, {"owner": object()}]}, "data.payload.gifts[1].owner"),
    "within a dataclass": (Price(amount=object()), "data.payload.amount"),  # type: ignore[arg-type]
    "within a msgspec model": ([Claim(by=GIFT_ID, at=DUE, note=print)], "data.payload[0].note"),  # type: ignore[arg-type]
    "within a pydantic model": ({"gift": Loose(thing=object())}, "data.payload.gift"),
}


@pytest.mark.parametrize("name", list(BAD))
async def test_what_cannot_be_json_raises_at_publish_and_the_subscribers_go_on(name: str) -> None:
    payload, path = BAD[name]
    async with server() as (live, address), subscribed(address, "ana", TOPIC) as ana:
        before = await live.publish(TOPIC, "UPDATED", entity_id="before")
        with pytest.raises(PublishError, match=TOPIC) as refused:
            await live.publish(TOPIC, "UPDATED", entity_id="bad", payload=payload)
        assert (refused.value.code, refused.value.topic) == (ErrorCode.BAD_EVENT, TOPIC)
        assert refused.value.path is not None and refused.value.path.startswith(path)
        assert refused.value.path in str(refused.value), "the message names the field"
        after = await live.publish(TOPIC, "UPDATED", entity_id="after")
        events = [await read(ana), await read(ana)]
        assert [event["cursor"] for event in events] == [before, after]
        assert int(after.split("-")[1]) == int(before.split("-")[1]) + 1, "the bad one took no place"


async def test_the_field_is_named_within_a_pydantic_model_too() -> None:
    async with server() as (live, _):
        with pytest.raises(PublishError) as refused:
            await live.publish(TOPIC, "UPDATED", entity_id="bad", payload={"gift": Loose(thing=object())})
        assert refused.value.path == "data.payload.gift.thing"


class Broken:
    """Has a method that looks like pydantic's, and fails."""

    def model_dump(self, mode: str) -> object:
        raise KeyError(mode)


async def test_a_model_whose_own_code_fails_is_named_as_well() -> None:
    async with server() as (live, _):
        with pytest.raises(PublishError, match=r"data\.payload of the event for gift-list:1"):
            await live.publish(TOPIC, "UPDATED", entity_id="bad", payload=Broken())


async def test_an_entity_that_has_no_id_yet_is_refused() -> None:
    async with server() as (live, _):
        with pytest.raises(PublishError, match="entity_id"):
            await live.publish(TOPIC, "ADDED", entity_id=None)


async def test_a_payload_without_an_end_raises_too() -> None:
    async with server() as (live, address), subscribed(address, "ana", TOPIC) as ana:
        with pytest.raises(PublishError, match=r"data\.payload.* of the event for gift-list:1"):
            await live.publish(TOPIC, "UPDATED", entity_id="bad", payload=_nested_in_itself())
        cursor = await live.publish(TOPIC, "UPDATED", entity_id="after")
        assert (await read(ana))["cursor"] == cursor


BAD_EVENTS: dict[str, tuple[dict[str, Any], ErrorCode, str]] = {
    "topic without a colon": ({"topic": "gifts"}, ErrorCode.BAD_TOPIC, "topic"),
    "topic that is a wildcard": ({"topic": "gift-list:*"}, ErrorCode.BAD_TOPIC, "topic"),
    "event without a name": ({"event": ""}, ErrorCode.BAD_EVENT, "event"),
    "entity without an id": ({"entity_id": ""}, ErrorCode.BAD_EVENT, "data.entity_id"),
    "version 0": ({"version": 0}, ErrorCode.BAD_EVENT, "version"),
    "trace id too long": ({"trace_id": "x" * 129}, ErrorCode.BAD_EVENT, "trace_id"),
    "idempotency key too long": ({"idempotency_key": "x" * 129}, ErrorCode.BAD_EVENT, "idempotency_key"),
    "payload over the limit": ({"payload": "x" * 102_400}, ErrorCode.PAYLOAD_TOO_LARGE, "data.payload"),
    "payload too deep": ({"payload": _nested(33)}, ErrorCode.BAD_EVENT, "data.payload"),
}


@pytest.mark.parametrize("name", list(BAD_EVENTS))
async def test_an_event_that_is_wrong_raises_with_its_code_and_path(name: str) -> None:
    wrong, code, path = BAD_EVENTS[name]
    event = {"topic": TOPIC, "event": "UPDATED", "entity_id": "g", **wrong}
    async with server() as (live, _):
        head = await live.cursor(TOPIC)
        with pytest.raises(PublishError) as refused:
            await live.publish(**event)
        assert (refused.value.code, refused.value.path) == (code, path)
        assert str(refused.value).startswith(f"{code.value}: ")
        assert await live.cursor(TOPIC) == head


EDGE = "0001-01-01T00:00:00+01:00"  # in UTC it is before the first year that there is


async def test_a_time_at_the_calendars_edge_is_refused_and_none_of_its_array_is_published() -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token), api_keys=["K"])
    app = Starlette()
    live.mount(app)
    with pytest.raises(UsageError):
        await live.publish(TOPIC, "UPDATED", entity_id="g", timestamp=datetime.fromisoformat(EDGE))
    good = {"topic": TOPIC, "event": "UPDATED", "data": {"entity_id": "good"}}
    bad = {"topic": TOPIC, "event": "UPDATED", "data": {"entity_id": "bad", "timestamp": EDGE}}
    async with serving(app) as address, httpx.AsyncClient(base_url=address.http) as http:
        head = await live.cursor(TOPIC)
        answer = await http.post("/realtime/publish", json=[good, bad], headers={"Authorization": "Bearer K"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_event")
        assert await live.cursor(TOPIC) == head
