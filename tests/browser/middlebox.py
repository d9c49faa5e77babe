"""What may stand between a page and its server: a proxy of a company, a hotel or a phone network.

It takes one request a connection and looks at its path, so a test can spoil one transport and leave the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

Kind = Literal["websocket", "sse", "poll", "rest"]
TRANSPORTS: tuple[Kind, ...] = ("websocket", "sse", "poll")
CHUNK_BYTES = 65_536
HEAD_BYTES_MAX = 65_536
REFUSAL = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 8\r\nConnection: close\r\n\r\nnot here"
)


class Fate(Enum):
    """What becomes of a request."""

    PASSES = "passes"
    #: Answered by the box itself, with a page of its own.
    REFUSED = "refused"
    #: Handed on without the headers that ask for another protocol.
    STRIPPED = "stripped"
    #: Taken, and never answered.
    STALLED = "stalled"
    #: Its response is kept until it is complete; that of a stream never is.
    BUFFERED = "buffered"


@dataclass(eq=False)
class Passage:
    """One request, and the connection that it came on."""

    at: float
    method: str
    path: str
    kind: Kind
    fate: Fate
    near: asyncio.StreamWriter
    #: From now on nothing goes through, and neither end is told.
    dead: bool = False


@dataclass
class Middlebox:
    """A proxy to ``port_behind``; everything passes until a test says otherwise."""

    port_behind: int
    port: int = 0
    fates: dict[Kind, Fate] = field(default_factory=dict)
    seen: list[Passage] = field(default_factory=list)
    _open: set[Passage] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def block(self, fate: Fate, *kinds: Kind) -> None:
        """From now on; what is open of these kinds is cut."""
        for kind in kinds:
            self.fates[kind] = fate
        for passage in self._open_of(kinds):
            passage.near.transport.abort()

    def unblock(self) -> None:
        """What comes from now on passes; what was stalled stays so."""
        self.fates.clear()

    def deaden(self, *kinds: Kind) -> None:
        """The connections of now stay open and carry nothing any more; new ones pass."""
        for passage in self._open_of(kinds):
            passage.dead = True

    def count(self, kind: Kind, *, path: str = "", method: str = "", since: float = 0) -> int:
        """How many requests of the kind came after a moment of ``time.monotonic``, their path beginning so."""
        return len(self.times(kind, path=path, method=method, since=since))

    def times(self, kind: Kind, *, path: str = "", method: str = "", since: float = 0) -> list[float]:
        """When they came, in seconds of ``time.monotonic``."""
        return [
            one.at
            for one in self.seen
            if one.kind == kind and one.at > since and one.path.startswith(path) and method in ("", one.method)
        ]

    async def carry(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a page, from its request to its end."""
        head = await near.readuntil(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        kind = kind_of(path)
        passage = Passage(time.monotonic(), method, path, kind, self.fates.get(kind, Fate.PASSES), writer)
        self.seen.append(passage)
        self._open.add(passage)
        try:
            if passage.fate is Fate.REFUSED:
                writer.write(REFUSAL)
                await writer.drain()
            elif passage.fate is Fate.STALLED:
                await _swallow(near)
            else:
                await self._forward(passage, head, near)
        finally:
            self._open.discard(passage)

    async def _forward(self, passage: Passage, head: bytes, near: asyncio.StreamReader) -> None:
        far, far_writer = await asyncio.open_connection("127.0.0.1", self.port_behind)
        tasks: list[asyncio.Task[None]] = []
        try:
            far_writer.write(_one_request(head, strip=passage.fate is Fate.STRIPPED))
            tasks.append(asyncio.create_task(_copy(near, far_writer, lambda: passage.dead)))
            buffers = passage.fate is Fate.BUFFERED
            tasks.append(asyncio.create_task(_copy(far, passage.near, lambda: passage.dead, buffers)))
            # A page that leaves ends its request; a server that has answered ends it too.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            far_writer.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _open_of(self, kinds: tuple[Kind, ...]) -> list[Passage]:
        return [passage for passage in self._open if passage.kind in kinds]

    def begin(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection; it is ended with the box."""

        async def whole() -> None:
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await self.carry(near, writer)
            finally:
                writer.close()

        task = asyncio.create_task(whole())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def middlebox(port_behind: int) -> AsyncIterator[Middlebox]:
    """A box in front of that port, for as long as the block lasts."""
    box = Middlebox(port_behind)
    server = await asyncio.start_server(box.begin, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await box.end()


def kind_of(path: str) -> Kind:
    """Which transport a request belongs to."""
    if path.startswith("/realtime/ws"):
        return "websocket"
    if path.startswith(("/realtime/sse", "/realtime/session/")):
        return "sse"
    return "poll" if path.startswith("/realtime/poll") else "rest"


def _one_request(head: bytes, *, strip: bool) -> bytes:
    """The request's head, where it does not ask for a WebSocket as the only one of its connection."""
    upgrades = re.search(rb"\r\nUpgrade:", head, re.IGNORECASE) is not None
    if upgrades and not strip:
        return head
    plain = re.sub(rb"\r\n(Connection|Upgrade):[^\r]*", b"", head, flags=re.IGNORECASE)
    return plain[:-2] + b"Connection: close\r\n\r\n"


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: Callable[[], bool], whole: bool = False
) -> None:
    """From one to the other until the end of the first; ``whole``: all at once, at that end."""
    kept = b""
    while data := await reader.read(CHUNK_BYTES):
        if whole:
            kept += data
        elif not dead():
            writer.write(data)
            await writer.drain()
    if kept and not dead():
        writer.write(kept)
    # An end, too, is news that does not come through a dead link.
    if dead():
        await asyncio.Event().wait()
    await writer.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(CHUNK_BYTES):
        pass
