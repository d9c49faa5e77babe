"""The calls that an application makes: settings, ``publish``, ``publish_sync``, ``cursor``, ``disconnect``.

Payloads stand in ``test_server_payloads.py``, and life within an application in ``test_server_mount.py``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from starlette.middleware.cors import CORSMiddleware

from tests.schemas import schema
from tests.servers import Address, serving
from tests.subscribers import read, subscribed, welcomed
from tidings import ConfigurationError, ErrorCode, Exclude, Identity, PublishError, Settings, Tidings, UsageError
from tidings.brokers.memory import MemoryBroker
from tidings.core.errors import PeerError
from tidings.core.events import Draft, Outgoing
from tidings.core.limits import Limits
from tidings.testing import FakeClock

SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = "gift-list:1"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
RECEIVED = schema("event", "received")


def by_name(credentials: Any) -> Identity:
    """``ana`` is Ana; ``ana@t-1`` is Ana of the tenant t-1."""
    user, _, tenant = credentials.token.partition("@")
    return Identity(user=user, tenant=tenant or None)


def made(**options: Any) -> Tidings:
    rules = {"gift-list:{list_id}": lambda _who, list_id: True}
    defaults: dict[str, Any] = {"authenticate": by_name, "authorize": rules}
    return Tidings(**defaults | options)


@asynccontextmanager
async def server(app: FastAPI | None = None, **options: Any) -> AsyncIterator[tuple[Tidings, Address]]:
    live = made(**options)
    app = app or FastAPI()
    live.mount(app)
    async with serving(app) as address:
        yield live, address


# Settings.


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({}, ConfigurationError, "setting secret (TIDINGS_SECRET) is missing"),
        ({"secret": "short"}, UsageError, "secret has 5 bytes"),
        ({"secret": SECRET, "settings": Settings()}, UsageError, "secret: give either settings= or"),
        (
            {"topics": ["gift-list"], "cookie": "c", "settings": Settings(secret=SECRET)},
            UsageError,
            "cookie and topics: give either settings= or the single settings, not both",
        ),
        ({"secret": SECRET, "broker": "redis://x"}, UsageError, "broker 'redis' is not supported"),
        ({"secret": SECRET, "allowed_origins": ["*"]}, UsageError, "allowed_origins: '*'"),
        ({"secret": SECRET, "topics": ["Gift"]}, UsageError, "setting topics (TIDINGS_TOPICS)"),
        ({"secret": SECRET, "cookie": "a b"}, UsageError, "setting cookie (TIDINGS_COOKIE)"),
        ({"secret": SECRET, "api_keys": ["k@"]}, UsageError, "setting api_keys (TIDINGS_API_KEYS)"),
        ({"secret": SECRET, "authorize": {"gift-list": True}}, UsageError, "gift-list"),
        ({"secret": SECRET, "authorize": {"gift:{id}": lambda _who, gift: True}}, UsageError, "gift:{id}"),
        ({"secret": SECRET, "topics": ["gift-list"], "authorize": {"gifts:{id}": True}}, UsageError, "gift-list"),
    ],
)
def test_what_cannot_work_is_one_line_that_names_it(
    options: dict[str, Any], error: type[UsageError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDINGS_SECRET", raising=False)
    with pytest.raises(error) as refused:
        Tidings(**options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_broker_object_and_settings_go_together() -> None:
    limits = Limits()
    live = made(broker=MemoryBroker(limits, FakeClock()), settings=Settings(limits=limits, topics=("gift-list",)))
    assert live.settings.topics == ("gift-list",)


# Publishing.


async def test_every_argument_reaches_the_subscriber() -> None:
    async with server() as (live, address), subscribed(address, "ana@t-1", TOPIC) as ana:
        when = datetime(2026, 11, 23, 15, tzinfo=UTC)
        cursor = await live.publish(
            TOPIC, "UPDATED", entity_id=7, payload={"n": 1}, user_id="u-1", tenant="t-1", timestamp=when,
            trace_id="mine", version=2,
        )  # fmt: skip
        event = await read(ana)
        RECEIVED.validate(event)
        assert event == {
            "topic": TOPIC,
            "event": "UPDATED",
            "data": {
                "entity_id": "7", "payload": {"n": 1}, "user_id": "u-1", "tenant_id": "t-1",
                "timestamp": "2026-11-23T15:00:00.000Z",
            },
            "trace_id": "mine",
            "version": 2,
            "cursor": cursor,
        }  # fmt: skip


async def test_a_timestamp_without_a_zone_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match=r"timestamp: .*time zone"):
        await made().publish(TOPIC, "UPDATED", entity_id="g", timestamp=datetime(2026, 11, 23))


async def test_one_may_be_left_out_by_user_or_by_session() -> None:
    async with (
        server() as (live, address),
        subscribed(address, "ana", TOPIC) as ana,
        welcomed(address, "ben") as (ben, session),
    ):
        await ben.send(f'{{"type":"subscribe","topics":["{TOPIC}"]}}')
        assert (await read(ben))["type"] == "subscribed"
        await live.publish(TOPIC, "UPDATED", entity_id="not for Ana", exclude=Exclude(user="ana"))
        await live.publish(TOPIC, "UPDATED", entity_id="not for Ben", exclude=Exclude(session=session))
        await live.publish(TOPIC, "UPDATED", entity_id="for both")
        assert [(await read(ana))["data"]["entity_id"] for _ in range(2)] == ["not for Ben", "for both"]
        assert [(await read(ben))["data"]["entity_id"] for _ in range(2)] == ["not for Ana", "for both"]


async def test_a_repeat_with_the_same_key_answers_the_first_cursor() -> None:
    async with server() as (live, address), subscribed(address, "ana", TOPIC) as ana:
        first = await live.publish(TOPIC, "UPDATED", entity_id="once", idempotency_key="k")
        assert await live.publish(TOPIC, "UPDATED", entity_id="again", idempotency_key="k") == first
        await live.publish(TOPIC, "UPDATED", entity_id="next")
        assert [(await read(ana))["data"]["entity_id"] for _ in range(2)] == ["once", "next"]


async def test_an_undeclared_topic_type_is_refused_at_publish_with_the_nearest_name() -> None:
    live = made(topics=["gift-list"])
    with pytest.raises(PublishError, match="did you mean 'gift-list'") as refused:
        await live.publish("gift-lists:1", "UPDATED", entity_id="g")
    assert (refused.value.code, refused.value.topic) == (ErrorCode.UNKNOWN_TOPIC_TYPE, "gift-lists:1")
    assert await live.publish(TOPIC, "UPDATED", entity_id="g")
    assert await live.publish("user:ana", "UPDATED", entity_id="g"), "every application has user:{id}"


async def test_a_tenant_is_told_its_own_events_only() -> None:
    async with server() as (live, address), subscribed(address, "ana@t-1", TOPIC) as ana:
        await live.publish(TOPIC, "UPDATED", entity_id="no tenant")
        await live.publish(TOPIC, "UPDATED", entity_id="another", tenant="t-2")
        await live.publish(TOPIC, "UPDATED", entity_id="ours", tenant="t-1")
        assert (await read(ana))["data"]["entity_id"] == "ours"
        assert await live.cursor(TOPIC, tenant="t-1") != await live.cursor(TOPIC, tenant="t-2")


@pytest.mark.parametrize("tenant", [None, "t-1"])
async def test_an_event_that_names_another_tenant_is_refused(tenant: str | None) -> None:
    draft = Draft(topic=TOPIC, event="UPDATED", data={"entity_id": "g", "tenant_id": "t-2"})
    with pytest.raises(PeerError) as refused:
        await made().publish_all([Outgoing(draft, tenant)])
    assert (refused.value.code, refused.value.path) == (ErrorCode.FORBIDDEN, "data.tenant_id")


# Trace ids.


async def test_the_trace_of_the_request_goes_on_the_event() -> None:
    app = FastAPI()

    @app.post("/gifts")
    async def add(mine: str | None = None) -> str:
        return await live.publish(TOPIC, "ADDED", entity_id="g", trace_id=mine)

    @app.post("/gifts-in-a-thread")
    def add_in_a_thread() -> str:
        return live.publish_sync(TOPIC, "ADDED", entity_id="g")

    async with (
        server(app) as (live, address),
        subscribed(address, "ana", TOPIC) as ana,
        httpx.AsyncClient(base_url=address.http) as http,
    ):
        await http.post("/gifts", headers=TRACED)
        await http.post("/gifts-in-a-thread", headers=TRACED)
        await http.post("/gifts", headers=TRACED, params={"mine": "mine"})
        await http.post("/gifts")
        await http.post("/gifts")
        *known, one, two = [(await read(ana))["trace_id"] for _ in range(5)]
        assert known == [TRACE_ID, TRACE_ID, "mine"]
        assert re.fullmatch("[0-9a-f]{32}", one) and re.fullmatch("[0-9a-f]{32}", two) and one != two


# From a thread.


async def test_a_def_endpoint_publishes_and_gets_the_cursor_or_the_error() -> None:
    app = FastAPI()

    @app.post("/gifts")
    def add() -> str:
        return live.publish_sync(TOPIC, "ADDED", entity_id="g", payload={"n": 1})

    @app.post("/bad")
    def bad() -> str:
        with pytest.raises(PublishError, match=r"data\.payload\.who") as refused:
            live.publish_sync(TOPIC, "ADDED", entity_id="g", payload={"who": object()})
        return str(refused.value.path)

    async with (
        server(app) as (live, address),
        subscribed(address, "ana", TOPIC) as ana,
        httpx.AsyncClient(base_url=address.http) as http,
    ):
        assert (await http.post("/bad")).json() == "data.payload.who"
        cursor = (await http.post("/gifts")).json()
        assert (await read(ana))["cursor"] == cursor


async def test_publish_sync_says_what_to_do_where_it_cannot_work() -> None:
    live = made()
    with pytest.raises(UsageError, match=r"mount\(\) it, or await start\(\) first"):
        await asyncio.to_thread(live.publish_sync, TOPIC, "ADDED", entity_id="g")
    await live.start()
    with pytest.raises(UsageError, match=r"await live\.publish"):
        live.publish_sync(TOPIC, "ADDED", entity_id="g")
    assert await asyncio.to_thread(live.publish_sync, TOPIC, "ADDED", entity_id="g") == await live.cursor(TOPIC)
    await live.close()
    with pytest.raises(UsageError, match="needs a running server"):
        await asyncio.to_thread(live.publish_sync, TOPIC, "ADDED", entity_id="g")


# Cursors.


async def test_the_cursor_is_set_extended_and_exposed() -> None:
    live = made()
    response = Response(headers={"Access-Control-Expose-Headers": "ETag"})
    one = await live.cursor(TOPIC, response=response)
    assert response.headers["Tidings-Cursor"] == f"{TOPIC}={one}"
    two = await live.cursor("gift-claims:1", response=response)
    assert response.headers["Tidings-Cursor"] == f"{TOPIC}={one}, gift-claims:1={two}"
    assert response.headers.getlist("Access-Control-Expose-Headers") == ["ETag, Tidings-Cursor"]
    fresh = JSONResponse({})
    await live.cursor(TOPIC, response=fresh)
    assert fresh.headers["Access-Control-Expose-Headers"] == "Tidings-Cursor"


async def test_the_cursor_reaches_a_page_of_another_origin() -> None:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])

    @app.get("/gifts")
    async def gifts(response: Response) -> list[str]:
        await live.cursor(TOPIC, response=response)
        return []

    async with server(app) as (live, address), httpx.AsyncClient(base_url=address.http) as http:
        cursor = await live.publish(TOPIC, "ADDED", entity_id="g")
        answer = await http.get("/gifts", headers={"Origin": "https://app.example"})
        assert answer.headers["Tidings-Cursor"] == f"{TOPIC}={cursor}"
        assert answer.headers["Access-Control-Expose-Headers"] == "Tidings-Cursor"


async def test_the_cursor_is_exposed_beside_what_the_application_exposes() -> None:
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"], expose_headers=["ETag"])

    @app.get("/gifts")
    async def gifts(response: Response) -> list[str]:
        await live.cursor(TOPIC, response=response)
        return []

    async with server(app) as (live, address), httpx.AsyncClient(base_url=address.http) as http:
        answer = await http.get("/gifts", headers={"Origin": "https://app.example"})
        assert "Tidings-Cursor" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_cursor_of_what_is_no_topic_is_the_callers_mistake() -> None:
    for topic in ("gifts", "gift-list:*", "gift-list:1\r\nSet-Cookie: x"):
        with pytest.raises(UsageError, match="resource-type:identifier"):
            await made().cursor(topic, response=Response())


# Disconnecting.


async def test_a_user_or_a_session_is_sent_away_and_nobody_else() -> None:
    async with (
        server() as (live, address),
        welcomed(address, "ana@t-1") as (ana, _),
        welcomed(address, "ana@t-1") as (second, session),
        welcomed(address, "ana@t-2") as (other, _),
        welcomed(address, "ben@t-1") as (ben, _),
    ):
        assert await live.disconnect("ana") == 0, "Ana of no tenant is another"
        assert await live.disconnect(session=session, tenant="t-1") == 1
        await closed(second)
        assert await live.disconnect("ana", tenant="t-1") == 1
        await closed(ana)
        for connection in (other, ben):
            await connection.send('{"type":"ping"}')
            assert (await read(connection))["type"] == "pong"


async def closed(connection: Any) -> None:
    with pytest.raises(websockets.ConnectionClosed):
        while True:
            await read(connection)
    assert connection.close_code == 4401
