"""The Python client against a real server: across its restarts, refusals, renewals and its own slowness."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tests.clients.python_rig import LIST, KeptBroker, Reader, server, subscribed, token
from tidings.client import ConnectionEnded, Gap, PublishFailed, TopicDenied, connect
from tidings.client.addresses import parse_address
from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.engine.clock import SystemClock


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


async def test_a_loop_that_is_busy_for_a_while_loses_nothing() -> None:
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        gaps: list[Gap] = []
        stream = live.subscribe(LIST, on_gap=gaps.append)
        first = asyncio.create_task(anext(stream))
        await subscribed(live)
        for number in range(1_500):  # more than wait here: the rest waits with the server
            await tidings.publish(LIST, "UPDATED", entity_id=number)
        ids = [(await first).entity_id]
        async with asyncio.timeout(10):
            while len(ids) < 1_500:
                ids.append((await anext(stream)).entity_id)
        assert ids == [str(number) for number in range(1_500)]
        assert gaps == []
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
    assert parse_address(url).websocket == address


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a.example", "https://"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        connect(url)
