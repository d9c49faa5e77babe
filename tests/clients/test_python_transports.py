"""The Python client on each transport by itself: the same promises on all three."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.python_rig import LIST, KeptBroker, Reader, server, subscribed, token, until
from tidings.client import ConnectionEnded, TopicDenied, connect
from tidings.client.stream import WAITING_EVENTS_MAX
from tidings.core.limits import Limits
from tidings.engine.clock import SystemClock

every_transport = pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
over_http = pytest.mark.parametrize("transport", ["sse", "poll"])


@every_transport
async def test_events_come_once_and_in_order(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        assert live.status.transport == transport
        for number in range(300):
            await tidings.publish(LIST, "UPDATED", entity_id=number, payload={"n": number})
        assert await reader.until(300) == [str(number) for number in range(300)]
        assert (reader.events[7].payload, reader.gaps) == ({"n": 7}, [])
        assert live.position(LIST) == reader.events[-1].cursor
    await reader.task
    assert reader.ended is None


@every_transport
async def test_what_was_missed_comes_first(transport: str) -> None:
    async with server() as (tidings, url, _):
        cursor = await tidings.publish(LIST, "ADDED", entity_id="a")
        await tidings.publish(LIST, "ADDED", entity_id="b")
        async with connect(url, token=token(), transports=[transport]) as live:
            reader = Reader(live, LIST, since=cursor)
            assert await reader.until(1) == ["b"]
            await tidings.publish(LIST, "ADDED", entity_id="c")
            assert await reader.until(2) == ["b", "c"]


@every_transport
async def test_topics_come_and_go_on_one_connection(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        first = Reader(live, LIST)
        await subscribed(live)
        second, third = Reader(live, "gift-list:2", "gift-list:3"), Reader(live, LIST)
        await subscribed(live, "gift-list:3")
        for topic in ("gift-list:3", LIST, "gift-list:2"):
            await tidings.publish(topic, "ADDED", entity_id=topic)
        assert sorted(await second.until(2)) == ["gift-list:2", "gift-list:3"]
        assert (await first.until(1), await third.until(1)) == ([LIST], [LIST])
        second.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second.task
        await tidings.publish(LIST, "ADDED", entity_id="more")
        assert await first.until(2) == [LIST, "more"]
        assert live._machine.generation == 1, "one connection for all"


@every_transport
async def test_a_refused_topic_ends_its_own_iteration_only(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        with pytest.raises(TopicDenied) as denied:
            await anext(live.subscribe("other:1"))
        assert (denied.value.code, denied.value.topic) == ("forbidden", "other:1")
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]


@every_transport
async def test_a_restart_with_history_loses_nothing(transport: str) -> None:
    broker = KeptBroker(Limits(), SystemClock())
    async with server(broker=broker) as (tidings, url, port):
        live = connect(url, token=token(), transports=[transport])
        reader = Reader(live, LIST)
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="before")
        await reader.until(1)
    async with server(port, broker) as (tidings, _, _):
        await tidings.publish(LIST, "ADDED", entity_id="while away")
        await live.wait_live()
        await tidings.publish(LIST, "ADDED", entity_id="after")
        assert await reader.until(3) == ["before", "while away", "after"]
        assert reader.gaps == []
        await live.close()


@every_transport
async def test_refused_credentials_are_asked_for_twice_only(transport: str) -> None:
    asked: list[bool] = []

    def auth(force: bool) -> str:
        asked.append(force)
        return "rubbish"

    async with server() as (_, url, _), connect(url, auth=auth, transports=[transport]) as live:
        with pytest.raises(ConnectionEnded) as ended:
            await anext(live.subscribe(LIST))
        assert (ended.value.reason, ended.value.code) == ("unauthorized", 4401)
        assert ended.value.cause is not None and "token" in ended.value.cause
        assert asked == [False, True]


@every_transport
async def test_the_connection_can_be_waited_for_without_a_topic(transport: str) -> None:
    async with server() as (_, url, _), connect(url, token=token(), transports=[transport]) as live:
        async with asyncio.timeout(5):
            await live.wait_live()
        assert (live.status.state, live.status.transport) == ("live", transport)


@every_transport
async def test_nothing_is_left_running(transport: str) -> None:
    before = asyncio.all_tasks()
    async with server() as (tidings, url, _):
        async with connect(url, token=token(), transports=[transport]) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
        await reader.task
        async with asyncio.timeout(5):
            while tidings.node.statistics()["sockets"]:
                await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before


@every_transport
async def test_a_burst_is_no_more_than_a_loop_that_is_busy_for_a_while_can_take(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        gaps: list[str] = []
        stream = live.subscribe(LIST, on_gap=lambda gap: gaps.append(gap.reason))
        first = asyncio.create_task(anext(stream))
        await subscribed(live)
        for number in range(1_900):  # above what waits here, below what is kept there beyond that
            await tidings.publish(LIST, "UPDATED", entity_id=number)
        ids = [(await first).entity_id]
        (waiting,) = live._subscriptions.values()
        await until(lambda: len(waiting._waiting) >= WAITING_EVENTS_MAX)
        for _ in range(100):
            await asyncio.sleep(0)  # whatever would come without being asked for
        async with asyncio.timeout(20):
            while len(ids) < 1_900:
                ids.append((await anext(stream)).entity_id)
        assert ids == [str(number) for number in range(1_900)]
        assert gaps == []
        await stream.aclose()


@every_transport
async def test_more_topics_than_one_request_takes(transport: str) -> None:
    topics = [f"gift-list:{number}" for number in range(230)]  # three frames, or three polls that are held
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        reader = Reader(live, *topics)
        for topic in topics:
            await subscribed(live, topic)
        for topic in reversed(topics):
            await tidings.publish(topic, "ADDED", entity_id=topic)
        assert sorted(await reader.until(len(topics))) == sorted(topics)
        assert (reader.gaps, live._machine.generation) == ([], 1)
