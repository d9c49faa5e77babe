"""The other ends that a page may meet: one that is silent, one that refuses, and a way to another address."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Peer:
    """A listener, and what it has seen."""

    port: int = 0
    accepted: int = 0
    open: int = 0
    open_most: int = 0

    def enter(self) -> None:
        self.accepted += 1
        self.open += 1
        self.open_most = max(self.open_most, self.open)

    def leave(self) -> None:
        self.open -= 1


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tarpit() -> AsyncIterator[Peer]:
    """Takes every connection and never says a word."""

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass

    async with _listening(serve) as peer:
        yield peer


@asynccontextmanager
async def slammed_door() -> AsyncIterator[Peer]:
    """Takes every connection and ends it at once."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with _listening(serve) as peer:
        yield peer


@asynccontextmanager
async def forwarding(port: int) -> AsyncIterator[Peer]:
    """Another port that leads to the given one, as that of a container or a proxy does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    async with _listening(serve) as peer:
        yield peer


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def _listening(serve: Serve) -> AsyncIterator[Peer]:
    peer = Peer()

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.enter()
        try:
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
        finally:
            peer.leave()
            writer.close()

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
