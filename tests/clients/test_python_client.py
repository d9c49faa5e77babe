"""The Python client against a real server: across its restarts, refusals, renewals and its own slowness."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import pytest
import uvicorn
from starlette.applications import Starlette

from tidings import Settings
from tidings.brokers.memory import MemoryBroker
from tidings.client import ConnectionEnded, Event, Gap, Live, PublishFailed, TopicDenied, connect
from tidings.client.link import websocket_url
from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.engine.clock import SystemClock
from tidings.ports import Broker
from tidings.server import Tidings

SECRET = "a secret of more than thirty-two bytes"
LIST = "gift-list:1"


def token(user: str = "ana", *, seconds: float = 600, publish: tuple[str, ...] = ()) -> str:
    claims = {"sub": user, "exp": time.time() + seconds, "subscribe": ["gift-list:*"], "publish": list(publish)}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class KeptBroker(MemoryBroker):
    """A broker that outlives its server, as one across a network does."""

    async def close(self) -> None:
        self._receiver = None
        self._joined.clear()


@asynccontextmanager
async def server(port: int = 0, broker: Broker | None = None) -> AsyncIterator[tuple[Tidings, str, int]]:
    live = Tidings(settings=Settings(secret=SECRET), broker=broker)
    app = Starlette()
    live.mount(app)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    number = listener.getsockname()[1]
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, timeout_graceful_shutdown=2)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    while not running.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
    try:
        yield live, f"http://127.0.0.1:{number}", number
    finally:
        running.should_exit = True
        await task
        listener.close()


class Reader:
    """Reads a subscription into a list, beside the test."""

    def __init__(self, live: Live, *topics: str, since: str | None = None) -> None:
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.ended: BaseException | None = None
        self.task = asyncio.create_task(self._read(live, topics, since))

    async def _read(self, live: Live, topics: tuple[str, ...], since: str | None) -> None:
        try:
            async for event in live.subscribe(*topics, since=since, on_gap=self.gaps.append):
                self.events.append(event)
        except Exception as error:
            self.ended = error

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                await asyncio.sleep(0.01)
        return [event.entity_id for event in self.events]


async def subscribed(live: Live, topic: str = LIST) -> None:
    """The server holds the topic for this client."""
    async with asyncio.timeout(10):
        while (snapshot := live._machine.topic(topic)) is None or snapshot.state != "live":
            await asyncio.sleep(0.01)


async def test_events_come_with_their_payload_and_in_order() -> None:
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        for number in range(50):
            await tidings.publish(LIST, "UPDATED", entity_id=number, payload={"n": number})
        assert await reader.until(50) == [str(number) for number in range(50)]
        assert [event.payload["n"] for event in reader.events] == list(range(50))
        assert (live.status.state, reader.gaps) == ("live", [])
    await reader.task
    assert reader.ended is None, "the end of the client is the end of the iteration, and no error"


async def test_what_was_missed_comes_first() -> None:
    async with server() as (tidings, url, _):
        cursor = await tidings.publish(LIST, "ADDED", entity_id="a")
        await tidings.publish(LIST, "ADDED", entity_id="b")
        async with connect(url, token=token()) as live:
            reader = Reader(live, LIST, since=cursor)
            assert await reader.until(1) == ["b"]
            await tidings.publish(LIST, "ADDED", entity_id="c")
            assert await reader.until(2) == ["b", "c"]


async def test_a_server_that_comes_back_with_its_history_loses_nothing() -> None:
    broker = KeptBroker(Limits(), SystemClock())
    async with server(broker=broker) as (tidings, url, port):
        live = connect(url, token=token())
        reader = Reader(live, LIST)
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="before")
        await reader.until(1)
    assert live.status.state != "live"
    async with server(port, broker) as (tidings, _, _):
        await tidings.publish(LIST, "ADDED", entity_id="while away")
        live.reconnect()
        await live.wait_live()
        await tidings.publish(LIST, "ADDED", entity_id="after")
        assert await reader.until(3) == ["before", "while away", "after"]
        assert reader.gaps == []
        await live.close()


async def test_a_server_that_comes_back_without_it_is_told_once() -> None:
    async with server() as (tidings, url, port):
        live = connect(url, token=token())
        reader = Reader(live, LIST)
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="before")
        await reader.until(1)
    async with server(port) as (tidings, _, _):
        live.reconnect()
        await live.wait_live()
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="after")
        assert await reader.until(2) == ["before", "after"]
        assert [(gap.topic, gap.reason) for gap in reader.gaps] == [(LIST, "epoch_changed")]
        await live.close()


async def test_a_refused_topic_ends_its_own_iteration_only() -> None:
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        reader = Reader(live, LIST)
        with pytest.raises(TopicDenied) as denied:
            async for _ in live.subscribe("other:1"):
                raise AssertionError("nothing comes of a refused topic")
        assert (denied.value.code, denied.value.topic) == ("forbidden", "other:1")
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]


async def test_refused_credentials_end_it_and_are_asked_for_twice_only() -> None:
    asked: list[bool] = []

    async def auth(force: bool) -> str:
        asked.append(force)
        return "rubbish"

    async with server() as (_, url, _), connect(url, auth=auth) as live:
        with pytest.raises(ConnectionEnded) as ended:
            async for _ in live.subscribe(LIST):
                raise AssertionError("nothing comes")
        assert (ended.value.reason, ended.value.code) == ("unauthorized", 4401)
        assert asked == [False, True]
        with pytest.raises(ConnectionEnded):
            await live.wait_live()


async def test_an_expired_token_is_renewed_before_the_next_dial() -> None:
    asked: list[bool] = []

    def auth(force: bool) -> str:
        asked.append(force)
        return token(seconds=600 if force else -600)

    async with server() as (tidings, url, _), connect(url, auth=auth) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]
        assert asked == [False, True]


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with connect(url, attempts_limit=0) as live:
            with pytest.raises(ConnectionEnded):
                async for _ in live.subscribe(LIST):
                    raise AssertionError("nothing comes")
            with pytest.raises(PublishFailed) as failed:
                await live.publish(LIST, "ADDED", entity_id="a")
            assert failed.value.code == "not_connected"


async def test_publishing() -> None:
    async with server() as (_, url, _), connect(url, token=token(publish=("gift-list:1",))) as live:
        reader = Reader(live, LIST, "gift-list:2")
        await subscribed(live)
        cursor = await live.publish(LIST, "ADDED", entity_id="a", payload={"by": "hand"}, idempotency_key="k")
        assert await live.publish(LIST, "ADDED", entity_id="a", idempotency_key="k") == cursor
        with pytest.raises(PublishFailed) as refused:
            await live.publish("gift-list:2", "ADDED", entity_id="b")
        assert refused.value.code == "forbidden"
        assert await reader.until(1) == ["a"]
        assert reader.events[0].data.user_id == "ana"


async def test_a_loop_that_is_too_slow_is_told() -> None:
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        gaps: list[Gap] = []
        stream = live.subscribe(LIST, on_gap=gaps.append)
        first = asyncio.create_task(anext(stream))
        await subscribed(live)
        for number in range(1_500):
            await tidings.publish(LIST, "UPDATED", entity_id=number)
        assert (await first).entity_id == "0"
        async with asyncio.timeout(10):
            while (event := await anext(stream)).entity_id != "1499":
                pass
        assert event.entity_id == "1499"
        assert {gap.reason for gap in gaps} <= {"slow"}
        await stream.aclose()


async def test_a_recovery_of_many_topics_is_not_too_much_for_a_loop_that_reads() -> None:
    topics = [f"gift-list:{number}" for number in range(4)]
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        since = {topic: await tidings.cursor(topic) for topic in topics}
        for topic in topics:
            for number in range(1_000):
                await tidings.publish(topic, "UPDATED", entity_id=number)
        gaps: list[Gap] = []
        seen: dict[str, list[str]] = {topic: [] for topic in topics}
        async with asyncio.timeout(20):
            async for event in live.subscribe(*topics, since=since, on_gap=gaps.append):
                seen[event.topic].append(event.entity_id)
                if sum(map(len, seen.values())) == 4_000:
                    break
        assert gaps == []
        assert all(ids == [str(number) for number in range(1_000)] for ids in seen.values())


async def test_nothing_is_left_running() -> None:
    before = asyncio.all_tasks()
    async with server() as (tidings, url, _):
        async with connect(url, token=token()) as live:
            stream = live.subscribe(LIST)
            reading = asyncio.create_task(anext(stream))
            await subscribed(live)
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
        assert tidings.node.hub.statistics()["topics"] in (0, 1)
        async with asyncio.timeout(5):
            while tidings.node.statistics()["sockets"]:
                await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:8000", "ws://localhost:8000/realtime/ws"),
        ("https://a.example/", "wss://a.example/realtime/ws"),
        ("https://a.example/live", "wss://a.example/live/ws"),
        ("wss://a.example/realtime/ws", "wss://a.example/realtime/ws"),
    ],
)
def test_addresses(url: str, address: str) -> None:
    assert websocket_url(url) == address


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a.example", "https://"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        connect(url)
