"""A stream's session that no frame finds, as behind several processes: the client is whole without it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.python_rig import LIST, Reader, server, token, until
from tests.faults.proxy import FaultProxy, fault_proxy
from tidings.client import connect
from tidings.server import Tidings

STREAM, SESSION, POLL = "/realtime/sse", "/realtime/session", "/realtime/poll"
MANY = [f"gift-list:{number}" for number in range(250)]


@asynccontextmanager
async def without_sessions() -> AsyncIterator[tuple[Tidings, FaultProxy]]:
    async with server() as (tidings, _, port), fault_proxy(port) as proxy:
        proxy.set(SESSION, answer=404)
        yield tidings, proxy


async def publish(tidings: Tidings, *topics: str) -> None:
    for topic in topics:
        await tidings.publish(topic, "UPDATED", entity_id=topic)


async def test_250_topics_are_whole_in_a_stream_and_in_the_next_without_a_further_frame() -> None:
    async with without_sessions() as (tidings, proxy):
        await publish(tidings, *MANY)
        since: Any = {topic: await tidings.cursor(topic) for topic in MANY}
        async with connect(proxy.http, token=token(), transports=["sse"]) as live:
            reader = Reader(live, *MANY, since=since)
            await until(lambda: live.status.state == "live")
            await publish(tidings, *MANY)
            proxy.cut(STREAM, how="rst")
            await publish(tidings, *reversed(MANY))
            await reader.until(2 * len(MANY))
            for topic in MANY:
                offsets = [event.cursor or "" for event in reader.events if event.topic == topic]
                assert offsets == sorted(set(offsets)), topic
                assert len(offsets) == 2, topic
            assert reader.gaps == []
            assert proxy.requests[STREAM] == 2
            assert not [path for path in proxy.requests if path.startswith(SESSION)]


async def test_topics_that_come_later_end_whole_by_new_streams_and_at_last_by_polls() -> None:
    async with without_sessions() as (tidings, proxy):
        topics = [LIST, *MANY[2:8]]
        since = {topic: await tidings.cursor(topic) for topic in topics}
        async with connect(proxy.http, token=token(), transports=["sse", "poll"]) as live:
            readers = []
            for topic in topics:
                readers.append(Reader(live, topic, since=since[topic]))
                await until(lambda: live.status.state == "live")
                await publish(tidings, *topics)
                await readers[-1].until(len(readers))
            await publish(tidings, *topics)
            for topic, reader in zip(topics, readers, strict=True):
                await reader.until(len(topics) + 1)
                assert [event.topic for event in reader.events] == [topic] * (len(topics) + 1)
                assert reader.gaps == []
            assert live.status.transport == "poll"
            assert proxy.requests[STREAM] == 3
