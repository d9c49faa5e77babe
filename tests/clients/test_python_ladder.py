"""The Python client where only some transports get through: down the ladder, and up again, without a gap."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.clients.python_rig import LIST, Reader, Writer, server, subscribed, token, until
from tests.faults.proxy import FaultProxy, fault_proxy
from tidings.client import Live, Status, connect
from tidings.client.addresses import parse_address
from tidings.client.machine import Options
from tidings.client.transports import poll
from tidings.server import Tidings

WEBSOCKET, STREAM, POLL = "/realtime/ws", "/realtime/sse", "/realtime/poll"
ALL = ("websocket", "sse", "poll")


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Tidings, FaultProxy]]:
    async with server() as (tidings, _, port), fault_proxy(port) as proxy:
        yield tidings, proxy


def hasty(url: str) -> Live:
    """A client that pauses less than by default before it dials again and before it steps up."""
    made = Options(auth=True, transports=ALL, climb_ms=500, climb_cap_ms=1_000, backoff_cap_ms=500)
    return Live(parse_address(url), lambda _: token(), made)


async def test_without_websocket_there_is_a_stream_and_then_websocket_again() -> None:
    """With the defaults: at once down, and up within 15 s of the time when it works."""
    async with proxied() as (tidings, proxy):
        proxy.block(WEBSOCKET)
        async with connect(proxy.http, token=token()) as live:
            seen: list[Status] = []
            live.on_status(seen.append)
            begin = time.monotonic()
            reader = Reader(live, LIST)
            await subscribed(live)
            assert live.status.transport == "sse"
            assert time.monotonic() - begin < 3
            writer = Writer(tidings)
            await until(lambda: len(reader.events) > 5)
            proxy.heal()
            begin = time.monotonic()
            await until(lambda: live.status.transport == "websocket", 15)
            assert time.monotonic() - begin < 15
            await until(lambda: writer.count > len(reader.events) - 5)
            published = await writer.stop()
            assert await reader.until(len(published)) == published
            assert reader.gaps == []
            assert not any(status.refetching for status in seen)
            states = [status.state for status in seen]
            assert states[states.index("live") :] == ["live"] * states.count("live"), "the step up goes unnoticed"


async def test_streams_that_are_kept_back_are_polls_after_five_seconds() -> None:
    async with proxied() as (tidings, proxy):
        proxy.block(WEBSOCKET)
        proxy.set(STREAM, hold_bytes=math.inf)
        async with connect(proxy.http, token=token()) as live:
            begin = time.monotonic()
            reader = Reader(live, LIST)
            await until(lambda: live.status.state == "live")
            assert live.status.transport == "poll"
            assert 4.5 < time.monotonic() - begin < 7
            writer = Writer(tidings)
            await until(lambda: len(reader.events) > 20)
            published = await writer.stop()
            assert await reader.until(len(published)) == published
            assert reader.gaps == []


async def test_where_nothing_works_a_refetch_is_told_every_ten_seconds() -> None:
    """And with the defaults it is back on WebSocket within 15 s, with all that was missed."""
    async with proxied() as (tidings, proxy), connect(proxy.http, token=token()) as live:
        told: list[float] = []
        reader = Reader(live, LIST, on_refetch=lambda: told.append(time.monotonic()))
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="before")
        await reader.until(1)
        proxy.block("/realtime")
        await until(lambda: live.status.refetching, 15)
        assert live.status.transport is None
        begin = time.monotonic()
        await until(lambda: len(told) == 2, 12)
        assert told[0] - begin < 1, "at once"
        assert 9.5 < told[1] - told[0] < 11
        await tidings.publish(LIST, "ADDED", entity_id="missed")
        proxy.heal()
        begin = time.monotonic()
        await until(lambda: live.status.transport == "websocket", 15)
        assert not live.status.refetching
        assert await reader.until(2) == ["before", "missed"]
        assert reader.gaps == []
        assert live._refetching._handle is None, "no refetch any more"


async def test_a_server_that_is_only_restarted_is_no_reason_to_refetch() -> None:
    async with proxied() as (_, proxy), connect(proxy.http, token=token()) as live:
        told: list[bool] = []
        reader = Reader(live, LIST, on_refetch=lambda: told.append(True))
        await subscribed(live)
        proxy.accepting = False
        proxy.cut()
        await until(lambda: live.status.state == "reconnecting")
        proxy.heal()
        await until(lambda: live.status.state == "live")
        assert (told, live.status.transport, reader.gaps) == ([], "websocket", [])


def _carries(live: Live, transport: str) -> bool:
    return live.status.transport == transport


@pytest.mark.parametrize("transport", ALL)
async def test_cuts_in_the_midst_of_records_lose_nothing(transport: str) -> None:
    async with proxied() as (tidings, proxy), connect(proxy.http, token=token(), transports=[transport]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        writer = Writer(tidings)
        for how in ("fin", "rst", "fin"):
            proxy.set("", cut_after_bytes=3_333, cut_how=how)
            await until(lambda: live.status.state != "live")
            proxy.heal()
            await until(lambda: live.status.state == "live")
        published = await writer.stop()
        assert await reader.until(len(published)) == published
        assert reader.gaps == []


async def test_a_poll_whose_answer_is_lost_is_asked_again() -> None:
    async with proxied() as (tidings, proxy), connect(proxy.http, token=token(), transports=["poll"]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        proxy.set(POLL, eat_replies=True)
        await tidings.publish(LIST, "ADDED", entity_id="a")
        await until(lambda: proxy.eaten[POLL] > 0)
        proxy.heal()
        assert await reader.until(1) == ["a"]
        await tidings.publish(LIST, "ADDED", entity_id="b")
        assert await reader.until(2) == ["a", "b"]
        assert reader.gaps == []


async def test_the_transport_changes_again_and_again_under_load() -> None:
    async with proxied() as (tidings, proxy):
        async with hasty(proxy.http) as live:
            readers = [Reader(live, LIST), Reader(live, LIST, "gift-list:2")]
            await subscribed(live)
            writer = Writer(tidings, pause_seconds=0.005)
            used: list[str | None] = []
            for blocked in ((WEBSOCKET,), (STREAM,), (), (WEBSOCKET, STREAM), ()):
                proxy.heal()
                proxy.block(*blocked)
                allowed = [
                    name for name, path in zip(ALL, (WEBSOCKET, STREAM, POLL), strict=True) if path not in blocked
                ]
                await until(partial(_carries, live, allowed[0]), 20)
                used.append(live.status.transport)
            published = await writer.stop()
            for reader in readers:
                assert await reader.until(len(published)) == published
                assert reader.gaps == []
    assert used == ["sse", "websocket", "websocket", "poll", "websocket"]


async def test_what_works_is_remembered_by_the_process() -> None:
    async with proxied() as (_, proxy):
        proxy.block(WEBSOCKET)
        for expected in (1, 1):
            async with connect(proxy.http, token=token()) as live:
                await live.wait_live()
                assert live.status.transport == "sse"
            assert proxy.requests[WEBSOCKET] == expected, "the second does not begin with what did not work"


async def test_a_wildcard_outlives_a_time_of_polls() -> None:
    async with proxied() as (tidings, proxy), hasty(proxy.http) as live:
        told: list[bool] = []
        reader = Reader(live, "gift-list:*", on_refetch=lambda: told.append(True))
        await subscribed(live, "gift-list:*")
        proxy.block(WEBSOCKET, STREAM)
        await until(lambda: live.status.transport == "poll")
        await until(lambda: told)
        await tidings.publish(LIST, "ADDED", entity_id="missed")
        proxy.heal()
        await until(lambda: live.status.transport == "websocket")
        await until(lambda: [gap.reason for gap in reader.gaps] == ["no_history"])
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]
        assert live._refetching._handle is None
        assert not reader.task.done()


@pytest.mark.parametrize("transport", ALL)
async def test_a_dead_link_is_found_by_its_silence(transport: str) -> None:
    """Half-open: no end is told to anybody. The default waits for 35 s; this one for less."""
    async with proxied() as (tidings, proxy):
        options = Options(auth=True, transports=(transport,), watchdog_slack_ms=-24_000, probe_ms=300, connect_ms=2_000)
        async with Live(parse_address(proxy.http), lambda _: token(), options) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
            assert proxy.cut(how="silent") > 0
            await tidings.publish(LIST, "ADDED", entity_id="a")
            assert await reader.until(1) == ["a"]
            assert reader.gaps == []


async def test_a_poll_that_is_held_for_too_long_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another request may show that somebody is there; this one's connection is dead all the same."""
    monkeypatch.setattr(poll, "ANSWER_SECONDS_MAX", 0.5)
    async with proxied() as (tidings, proxy), connect(proxy.http, token=token(), transports=["poll"]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        proxy.cut(how="silent")
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]
        assert reader.gaps == []


async def test_a_portal_that_answers_everything_is_no_connection() -> None:
    async with proxied() as (_, proxy):
        proxy.set("/realtime", answer=200)
        async with connect(proxy.http, token=token()) as live:
            reader = Reader(live, LIST)
            await until(lambda: live.status.refetching)
            proxy.heal()
            await until(lambda: live.status.state == "live")
            await asyncio.sleep(0)
            assert reader.ended is None
