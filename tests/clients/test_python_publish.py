"""Publishing with the Python client: checked where the call is made, and sent when there is a connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.clients.python_rig import LIST, KeptBroker, Reader, server, subscribed, token
from tests.faults.proxy import fault_proxy
from tidings.client import PublishFailed, connect
from tidings.core.errors import PublishError
from tidings.core.limits import Limits
from tidings.engine.clock import SystemClock


@dataclass
class Gift:
    id: UUID
    price: Decimal
    added: datetime


async def test_publishing() -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,))) as live:
        reader = Reader(live, LIST, "gift-list:2")
        await subscribed(live)
        cursor = await live.publish(LIST, "ADDED", entity_id="a", payload={"by": "hand"}, idempotency_key="k")
        assert await live.publish(LIST, "ADDED", entity_id="a", idempotency_key="k") == cursor
        with pytest.raises(PublishFailed) as refused:
            await live.publish("gift-list:2", "ADDED", entity_id="b")
        assert refused.value.code == "forbidden"
        assert await reader.until(1) == ["a"]
        assert reader.events[0].data.user_id == "ana"


async def test_a_publish_dials_and_needs_no_subscription() -> None:
    async with server() as (tidings, url, _), connect(url, token=token(publish=(LIST,))) as live:
        cursor = await live.publish(LIST, "ADDED", entity_id="a", version=2)
        assert cursor == await tidings.cursor(LIST)
        with pytest.raises(PublishFailed) as refused:
            async with connect(url, token=token(publish=(LIST,))) as idle:
                await idle.publish(LIST, "ADDED", entity_id="b", queue_seconds=0)
        assert refused.value.code == "not_connected"


async def test_what_python_holds_arrives_as_json() -> None:
    gift = Gift(UUID(int=7), Decimal("19.90"), datetime(2026, 11, 23, 15, tzinfo=UTC))
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,))) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        await live.publish(LIST, "ADDED", entity_id=gift.id, payload=gift)
        await reader.until(1)
        assert reader.events[0].payload == {
            "id": str(gift.id),
            "price": "19.90",
            "added": "2026-11-23T15:00:00Z",
        }


@pytest.mark.parametrize(
    ("event", "payload", "code", "path"),
    [
        ("ADDED", {"gift": object()}, "bad_event", "data.payload.gift"),
        ("ADDED", "y" * 200_000, "payload_too_large", "data.payload"),
        ("", None, "bad_event", "event"),
    ],
)
async def test_what_is_no_event_is_refused_here_and_costs_nothing(
    event: str, payload: Any, code: str, path: str
) -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,))) as live:
        await live.wait_live()
        with pytest.raises(PublishError) as refused:
            await live.publish(LIST, event, entity_id="a", payload=payload)
        assert (refused.value.code.value, refused.value.path) == (code, path)
        assert await live.publish(LIST, "ADDED", entity_id="a", queue_seconds=0), "the connection is still there"


async def test_a_publish_waits_for_the_server() -> None:
    broker = KeptBroker(Limits(), SystemClock())
    async with server(broker=broker) as (tidings, url, port):
        live = connect(url, token=token(publish=(LIST,)))
        reader = Reader(live, LIST)
        await subscribed(live)
    waiting = asyncio.create_task(live.publish(LIST, "ADDED", entity_id="a"))
    await asyncio.sleep(0)
    assert not waiting.done()
    async with server(port, broker) as (tidings, _, _):
        live.reconnect()
        cursor = await waiting
        assert cursor == await tidings.cursor(LIST)
        assert await reader.until(1) == ["a"]
        await live.close()


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_a_publish_that_may_not_wait_is_in_doubt_after_a_cut(transport: str) -> None:
    async with server() as (_, url, port), fault_proxy(port) as proxy:
        async with connect(url, token=token("ben")) as reading:
            reader = Reader(reading, LIST)
            await subscribed(reading)
            async with connect(proxy.http, token=token(publish=(LIST,)), transports=[transport]) as live:
                await live.wait_live()
                proxy.set("/realtime", drop="down")
                doubtful = asyncio.create_task(live.publish(LIST, "ADDED", entity_id="a", queue_seconds=0))
                await reader.until(1)
                proxy.cut(how="rst")
                with pytest.raises(PublishFailed) as lost:
                    await doubtful
                assert lost.value.code == "connection_lost"


async def test_publishing_over_a_stream() -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,)), transports=["sse"]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        cursors = await asyncio.gather(*(live.publish(LIST, "ADDED", entity_id=number) for number in range(5)))
        assert await reader.until(5) == [str(number) for number in range(5)]
        assert [event.cursor for event in reader.events] == cursors
        with pytest.raises(PublishFailed) as refused:
            await live.publish("gift-list:2", "ADDED", entity_id="b")
        assert refused.value.code == "forbidden"


async def test_polls_cannot_publish_and_say_so() -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,)), transports=["poll"]) as live:
        await live.wait_live()
        with pytest.raises(PublishFailed, match="cannot publish") as refused:
            await live.publish(LIST, "ADDED", entity_id="a")
        assert refused.value.code == "unavailable"


async def test_its_own_change_is_known_by_its_trace() -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=(LIST,))) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        mutation = live.mutation()
        await live.publish(LIST, "ADDED", entity_id="a", trace_id=mutation.trace_id)
        await reader.until(1)
        assert reader.events[0].trace_id == mutation.trace_id
        assert mutation.headers["traceparent"].split("-")[1] == mutation.trace_id
