"""Readers that stop, over real sockets: cut off by bytes and by age, and the others see nothing of it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from websockets.asyncio.client import connect as websocket

from tests.faults.worker_processes import until
from tests.over_http import SECRET, token
from tidings import Limits, Settings, Tidings
from tidings.cli import draining, stalled
from tidings.cli.draining import DrainingServer
from tidings.client import connect
from tidings.transports import sse, waiting_age
from tidings.transports import websocket as asgi

LIST = "gift-list:1"
RECEIVE_BYTES = 4_096  # the smallest window that the kernel gives


@asynccontextmanager
async def server(limits: Limits) -> AsyncIterator[tuple[Tidings, int]]:
    """A server of ours as ``tidings serve`` runs it, on the plain ASGI transport, in this loop."""
    live, app = Tidings(settings=Settings(secret=SECRET, limits=limits, drain_seconds=0)), Starlette()
    live.mount(app)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", ws_per_message_deflate=False, timeout_graceful_shutdown=2)
    running = DrainingServer(config)
    task = asyncio.create_task(running._serve([listener]))
    try:
        while not running.started:
            await asyncio.sleep(0.01)
        await live.publish("gift-list:0", "ADDED", entity_id="0")
        yield live, listener.getsockname()[1]
    finally:
        running.should_exit = True
        await task


def request(transport: str) -> bytes:
    if transport == "sse":
        return f"GET /realtime/sse?topics={LIST}&token={token()} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    return f"GET /realtime/ws?token={token()} HTTP/1.1\r\nHost: x\r\n{head}{key}\r\n".encode()


def masked(text: str) -> bytes:
    """A text frame as a client sends it, with a mask of zeros."""
    body = text.encode()
    assert len(body) < 126
    return struct.pack("!BB4x", 0x81, 0x80 | len(body)) + body


@asynccontextmanager
async def reader_that_stops(live: Tidings, port: int, transport: str) -> AsyncIterator[socket.socket]:
    """A subscriber on a raw socket that reads no more once it is live."""
    loop = asyncio.get_running_loop()
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    raw.setblocking(False)
    try:
        await loop.sock_connect(raw, ("127.0.0.1", port))
        await loop.sock_sendall(raw, request(transport))
        if transport == "websocket":
            while b"welcome" not in await loop.sock_recv(raw, RECEIVE_BYTES):
                pass
            await loop.sock_sendall(raw, masked(json.dumps({"type": "subscribe", "topics": [LIST]})))
        before = live.node.statistics()["subscriptions_live"]
        await until(lambda: live.node.statistics()["subscriptions_live"] > before, "it is live")
        yield raw
    finally:
        raw.close()


async def publish_until(live: Tidings, done: Callable[[], bool]) -> int:
    """Publish large events until it is so: how many."""
    async with asyncio.timeout(30):
        count = 0
        while not done():
            await live.publish(LIST, "UPDATED", entity_id=str(count), payload="x" * 90_000, tenant="t-1")
            count += 1
            await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_f43_a_reader_that_stops_is_cut_off_by_bytes_and_the_others_get_all(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(asgi, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(stalled, "RESET_SECONDS", 0.2)
    monkeypatch.setattr(draining, "_TICKS_OF_A_LOOK", 1)
    async with server(Limits(backlog_bytes=200_000)) as (live, port):
        address = f"http://127.0.0.1:{port}"
        async with connect(address, token=token(sub="witness")) as client:
            got: list[str] = []
            delays: list[float] = []
            witness = asyncio.create_task(follow(client, got, delays))
            await until(lambda: live.node.statistics()["subscriptions_live"] == 1, "the witness is live")
            async with reader_that_stops(live, port, transport) as raw:
                count = await publish_until(live, lambda: live.node.statistics()["subscriptions_live"] == 1)
                await until(lambda: len(got) == count, "the witness has all")
                assert got == [str(number) for number in range(count)]
                await until(lambda: live.node.statistics()["connections"] == 1, "nothing of it is left")
                await reset_by_peer(raw)
            witness.cancel()


async def follow(client: Any, got: list[str], delays: list[float]) -> None:
    async for event in client.subscribe(LIST):
        got.append(event.entity_id)
        delays.append(time.monotonic())


async def reset_by_peer(raw: socket.socket) -> None:
    """The server has given the connection up. What a reader that comes back finds is the end, in one way or another."""
    loop = asyncio.get_running_loop()

    def is_reset() -> bool:
        return raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or _state(raw) != _ESTABLISHED

    await until(is_reset, "the connection is reset")
    try:
        async with asyncio.timeout(5):
            while await loop.sock_recv(raw, 1_000_000):
                pass
    except OSError:
        pass


_ESTABLISHED = 1


def _state(raw: socket.socket) -> int:
    return raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_f43_what_waits_too_long_is_not_wanted_any_more_however_little_it_is(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_age, "BACKLOG_SECONDS", 0.4)
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(asgi, "CLOSE_SECONDS", 0.2)
    async with server(Limits(backlog_bytes=0)) as (live, port), reader_that_stops(live, port, transport):
        await publish_until(live, lambda: live.node.statistics()["subscriptions_live"] == 0)
        await until(lambda: live.node.statistics()["connections"] == 0, "nothing of it is left")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_f44_a_reader_that_stops_in_recovery_has_one_page_waiting_and_not_the_history(transport: str) -> None:
    """What is missed is read as the reader takes it: the history of 30 MB stays where it is."""
    limits = Limits(backlog_bytes=400_000, history_events=1_000, recovery_events=1_000)
    async with server(limits) as (live, port):
        start = await live.cursor(LIST, tenant="t-1")
        for number in range(300):
            await live.publish(LIST, "UPDATED", entity_id=str(number), payload="x" * 100_000, tenant="t-1")
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        raw.setblocking(False)
        pushed = count_pushes(live)
        try:
            await loop.sock_connect(raw, ("127.0.0.1", port))
            ask = request(transport).replace(b"&token=", f"&since={LIST}={start}&token=".encode())
            await loop.sock_sendall(raw, ask)
            if transport == "websocket":
                while b"welcome" not in await loop.sock_recv(raw, RECEIVE_BYTES):
                    pass
                frame = {"type": "subscribe", "topics": [LIST], "since": {LIST: start}}
                await loop.sock_sendall(raw, masked(json.dumps(frame, separators=(",", ":"))))
            await until(lambda: pushed() > 0, "it recovers")
            await settled(pushed)
            assert pushed() < 150, "it was given what the kernel takes, and a page"
            assert live.node.statistics()["connections"] == 1, "a page is no reason to cut it off"
        finally:
            raw.close()


def count_pushes(live: Tidings) -> Callable[[], int]:
    return lambda: sum(one._sink.pushed_count for one in live.node._registry.all())  # type: ignore[attr-defined]


async def settled(number: Callable[[], int]) -> None:
    """Return when it has not moved for a while."""
    seen, since = number(), time.monotonic()
    async with asyncio.timeout(20):
        while time.monotonic() - since < 0.5:
            await asyncio.sleep(0.05)
            if number() != seen:
                seen, since = number(), time.monotonic()


@pytest.mark.parametrize("transport", ["websocket"])
async def test_who_reads_slowly_but_reads_is_never_cut_off(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_age, "BACKLOG_SECONDS", 0.4)
    async with server(Limits()) as (live, port):
        url = f"ws://127.0.0.1:{port}/realtime/ws?token={token()}"
        async with websocket(url, max_queue=1) as client:
            await client.send(json.dumps({"type": "subscribe", "topics": [LIST]}))
            await until(lambda: live.node.statistics()["subscriptions_live"] == 1, "it is live")
            for number in range(20):
                await live.publish(LIST, "UPDATED", entity_id=str(number), payload="x" * 30_000, tenant="t-1")
                while '"event"' not in str(await asyncio.wait_for(client.recv(), 5)):
                    pass
                await asyncio.sleep(0.05)
            assert live.node.statistics()["connections"] == 1
