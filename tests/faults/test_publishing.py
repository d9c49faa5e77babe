"""A publish whose outcome is not known: the reply was lost, the server died. One event, one cursor."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import httpx
import pytest

from tests.faults.proxy import fault_proxy
from tests.faults.serve import API_KEY, server, token
from tidings.client import Event, PublishFailed, connect
from tidings.core.codes import ErrorCode

TOPIC = "gift-list:1"
WITHIN_SECONDS = 20


def event(entity_id: str, key: str) -> dict[str, object]:
    return {"topic": TOPIC, "event": "ADDED", "data": {"entity_id": entity_id}, "idempotency_key": key}


async def post(url: str, body: dict[str, object]) -> str:
    """The cursor. Raises httpx.TransportError where no answer came."""
    async with httpx.AsyncClient(base_url=url, timeout=WITHIN_SECONDS) as http:
        answer = await http.post("/realtime/publish", json=body, headers={"Authorization": f"Bearer {API_KEY}"})
    cursor: str = answer.json()["published"][0]["cursor"]
    return cursor


async def taken(url: str, count: int) -> list[Event]:
    """The first so many events that a subscriber of all history gets."""
    found: list[Event] = []
    async with asyncio.timeout(WITHIN_SECONDS), connect(url, token=token("reader")) as live:
        start = await post(url, event("first", "of-the-reader"))
        async for one in live.subscribe(TOPIC, since=f"{start.rpartition('-')[0]}-0"):
            found.append(one)
            if len(found) == count:
                break
    return found


async def test_f16_a_repeat_over_http_is_one_event_with_one_cursor(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        proxy.set("/realtime/publish", eat_replies=True)
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                await post(proxy.http, event("g-1", "key-1"))
        assert proxy.eaten["/realtime/publish"] == 3
        proxy.heal()
        cursor = await post(proxy.http, event("g-1", "key-1"))
        assert cursor == await post(proxy.http, event("g-1", "key-1"))
        assert await post(proxy.http, event("g-2", "key-2")) > cursor
        assert [one.entity_id for one in await taken(one.http, 3)] == ["g-1", "g-2", "first"]


async def test_f16_a_clients_publish_is_repeated_over_its_next_connection(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        async with connect(proxy.http, token=token("writer"), transports=("websocket",)) as live:
            await live.wait_live()
            proxy.set("/realtime/ws", drop="down")
            publishing = asyncio.create_task(
                live.publish(TOPIC, "ADDED", entity_id="g-1", queue_seconds=WITHIN_SECONDS)
            )
            stored = asyncio.create_task(taken(one.http, 2))
            await proxy.until(lambda: proxy.links("/realtime/ws")[0].down.dead)  # the answer was lost
            proxy.heal()
            proxy.cut("/realtime/ws")
            cursor = await publishing
            found = await stored
        ours = next(one for one in found if one.entity_id == "g-1")
        assert ours.cursor == cursor
        assert {one.entity_id for one in await taken(one.http, 2)} == {"g-1", "first"}


async def test_f17_an_outcome_that_is_unknown_is_told_with_what_is_safe(tmp_path: Path) -> None:
    """The caller gives up; told that it may repeat, it does, and there is one event."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        async with connect(proxy.http, token=token("writer"), transports=("websocket",)) as live:
            await live.wait_live()
            proxy.set("/realtime/ws", drop="down")
            publishing = asyncio.create_task(
                live.publish(TOPIC, "ADDED", entity_id="g-1", idempotency_key="key", queue_seconds=0)
            )
            await proxy.until(lambda: proxy.links("/realtime/ws")[0].down.dead)
            proxy.heal()
            proxy.cut("/realtime/ws")
            with pytest.raises(PublishFailed, match=r"unknown whether.* same idempotency_key") as failed:
                await publishing
            assert failed.value.code == "connection_lost"
            await live.wait_live()
            await live.publish(TOPIC, "ADDED", entity_id="g-1", idempotency_key="key")
        assert [each.entity_id for each in await taken(one.http, 2)] == ["g-1", "first"]
    assert "unknown" in ErrorCode.UNAVAILABLE.sentence and "same idempotency key" in ErrorCode.UNAVAILABLE.sentence


async def test_f16_f08_a_repeat_after_the_server_was_killed(tmp_path: Path) -> None:
    """SQLite keeps the key with the event."""
    async with server(tmp_path, broker=f"sqlite:///{tmp_path}/events.sqlite3") as one, fault_proxy(one.port) as proxy:
        proxy.set("/realtime/publish", eat_replies=True)
        key = secrets.token_hex(8)
        with pytest.raises(httpx.TransportError):
            await post(proxy.http, event("g-1", key))
        await one.kill()
        await one.start()
        proxy.heal()
        cursor = await post(proxy.http, event("g-1", key))
        assert cursor.endswith("-1")
        assert [one.entity_id for one in await taken(one.http, 2)] == ["g-1", "first"]
