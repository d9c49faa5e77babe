"""The record of what an application publishes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date

import httpx
import pytest
from fastapi import FastAPI

from tidings import Access, Exclude, Identity, PublishError, Tidings, testing

LIST = "gift-list:1"
KEY = {"Authorization": "Bearer K1"}


@dataclass
class Gift:
    name: str
    wanted_by: date


def made() -> Tidings:
    return Tidings(
        authenticate=lambda _: Identity(user="ana"),
        authorize={"gift-list:{list_id}": Access(subscribe=True, publish=True)},
        api_keys=["K1"],
    )


async def test_what_is_published_is_noted_as_subscribers_read_it() -> None:
    live = made()
    async with testing.started(live):
        with testing.published(live) as notes:
            cursor = await live.publish(
                LIST, "ADDED", entity_id=7, payload=Gift("A kite", date(2026, 12, 24)), tenant="t-1",
                exclude=Exclude(user="ben"), idempotency_key="k",
            )  # fmt: skip
            await live.publish(LIST, "ADDED", entity_id=7, tenant="t-1", idempotency_key="k")
            with pytest.raises(PublishError):
                await live.publish("nonsense", "ADDED", entity_id=7)
        await live.publish(LIST, "DELETED", entity_id=7)  # after the block
        first, second = notes
        assert (first.topic, first.name, first.entity_id, first.tenant) == (LIST, "ADDED", "7", "t-1")
        assert first.payload == {"name": "A kite", "wanted_by": "2026-12-24"}
        assert (first.event.cursor, first.exclude, first.idempotency_key) == (cursor, Exclude(user="ben"), "k")
        assert (first.repeated, second.repeated) == (False, True)
        assert second.event.cursor == cursor


async def test_clients_and_subscribers_go_on() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe(LIST)
        with testing.published(live) as notes:
            await ana.publish(LIST, "ADDED", entity_id="kite")
            assert (await ana.receive_event()).entity_id == "kite"
            await ana.nothing_arrives()
        assert [(one.name, one.event.data.user_id) for one in notes] == [("ADDED", "ana")]


def test_a_plain_test_with_an_http_client() -> None:
    live = made()
    app = FastAPI()
    live.mount(app)

    @app.post("/gifts/{name}")
    def add(name: str) -> None:
        live.publish_sync(LIST, "ADDED", entity_id=name)

    async def use() -> None:
        transport = httpx.ASGITransport(app=app)
        async with testing.started(live), httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            (await http.post("/gifts/kite")).raise_for_status()
            event = {"topic": LIST, "event": "UPDATED", "data": {"entity_id": "kite"}}
            (await http.post("/realtime/publish", json=event, headers=KEY)).raise_for_status()

    with testing.published(live) as notes:
        asyncio.run(use())
    assert [(one.name, one.entity_id) for one in notes] == [("ADDED", "kite"), ("UPDATED", "kite")]
