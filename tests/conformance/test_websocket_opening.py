"""Slow, large and split requests, and what comes close behind them: before a WebSocket is open (C8, C12)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from tests.raw_websocket import Peer, handshake, text
from tests.servers import Address, serving
from tidings import Identity, Tidings
from tidings.transports import guarded_http
from tidings.transports.guarded_http import HEAD_BYTES_MAX, GuardedHttpProtocol

pytestmark = pytest.mark.usefixtures("way")


@asynccontextmanager
async def server() -> AsyncIterator[Address]:
    live, app = Tidings(authenticate=lambda who: Identity(user=who.token)), Starlette()
    live.mount(app)

    async def length(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app.add_route("/length", length, ["POST"])
    async with serving(app, http=GuardedHttpProtocol) as address:
        yield address


async def test_a_handshake_byte_by_byte() -> None:
    async with server() as address, await Peer.dial(address.port) as peer:
        await peer.send(handshake(), pieces_of=1)
        assert await peer.status() == 101
        welcome = await peer.frame()
        assert welcome is not None and welcome.json["user"] == "ana"


@pytest.mark.parametrize("pieces_of", [0, 50])
async def test_frames_close_behind_the_handshake_are_not_lost(pieces_of: int) -> None:
    """A client should wait for the answer; one that does not is served all the same, and not read as HTTP."""
    async with server() as address, await Peer.dial(address.port) as peer:
        await peer.send(handshake() + text({"type": "ping", "id": 7}), pieces_of=pieces_of)
        assert await peer.status() == 101
        frames = [await peer.frame(), await peer.frame()]
        assert [frame.json.get("id") for frame in frames if frame is not None] == [None, 7]


async def test_a_slow_head_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_http, "HEAD_SECONDS", 0.3)
    async with server() as address:
        async with await Peer.dial(address.port) as drip, await Peer.dial(address.port) as silent:
            begin = time.monotonic()

            async def drips() -> None:
                for byte in handshake():
                    await drip.send(bytes([byte]))
                    await asyncio.sleep(0.02)

            dripping = asyncio.ensure_future(drips())
            assert await drip.status() == 408
            assert await silent.rest() == b"", "who said nothing gets no answer"
            assert time.monotonic() - begin < 3
            dripping.cancel()
        async with await Peer.dial(address.port) as peer:
            await peer.opened()
            await asyncio.sleep(0.5)  # longer than a head may take: the bound is the head's, not the connection's
            await peer.send(text({"type": "ping", "id": 1}))
            frames = [await peer.frame(), await peer.frame()]
            assert [frame.json["type"] for frame in frames if frame is not None] == ["welcome", "pong"]


async def test_a_head_without_end() -> None:
    async with server() as address:
        for endless in (b"X-Many: y\r\n", b"x" * 1_000):
            async with await Peer.dial(address.port) as peer:
                await peer.send(handshake()[:-2])
                for _ in range(HEAD_BYTES_MAX // len(endless) + 10):
                    await peer.send(endless)
                assert await peer.status() in (431, None), "or it was reset, for it went on sending"


async def test_large_bodies_and_many_requests_on_one_connection_are_none_of_its_business() -> None:
    async with server() as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        for size in (10, 300_000, 0):
            writer.write(f"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(len(str(size))) == str(size).encode()
        writer.close()
