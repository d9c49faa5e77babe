"""Links of the fast transport without sockets: on transports that take as much as the test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from tidings import Limits, Settings
from tidings.core.codes import CloseCode
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.events import Publication
from tidings.core.framing import Framed
from tidings.core.session import Session
from tidings.core.topics import TopicKey
from tidings.testing import FakeClock
from tidings.transports.handshake import Decision
from tidings.transports.websocket_fast_link import FastLink
from tidings.transports.websocket_fast_path import FastPath

BACKLOG_BYTES = 100_000


class Transport:
    """Takes ``room_bytes`` (None: all), keeps the rest in its buffer, and tells its protocol of it as loops do."""

    def __init__(self) -> None:
        self.link: FastLink | None = None
        self.room_bytes: int | None = None
        self.writes: list[bytes] = []
        self.buffered_bytes = 0
        self.reading = True
        self.state = "open"
        self.ended = False

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert (high, low) == (1, 0)

    def get_write_buffer_size(self) -> int:
        return self.buffered_bytes

    def write(self, data: bytes) -> None:
        assert self.state == "open" and not self.ended, "nothing is written to a transport that is closed"
        assert data, "asyncio would take it, and it is a waste"
        self.writes.append(data)
        self.buffered_bytes += len(data)
        self._send()
        if self.buffered_bytes > 1 and self.link is not None:
            self.link.pause_writing()

    def make_room(self, count: int | None) -> None:
        """The peer has read so many bytes more; None for all, from now on."""
        before = self.buffered_bytes
        self.room_bytes = None if count is None else (self.room_bytes or 0) + count
        self._send()
        if before > 0 and self.buffered_bytes == 0 and self.link is not None:
            self.link.resume_writing()

    def _send(self) -> None:
        sent = self.buffered_bytes if self.room_bytes is None else min(self.room_bytes, self.buffered_bytes)
        self.buffered_bytes -= sent
        if self.room_bytes is not None:
            self.room_bytes -= sent

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.state != "open"

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


@dataclass
class Connection:
    """Stands for the session: notes what it is told, and closes when it is ended."""

    sink: FastLink
    limits: Limits
    fed: list[str] = field(default_factory=list)
    heards: int = 0
    gones: int = 0
    ended: list[int] = field(default_factory=list)
    is_behind: bool = False
    id: str = "s-1"

    def __post_init__(self) -> None:
        self.session = Session("s-1", self.limits, self.sink.push, 0.0)
        self.room = asyncio.Event()

    def open(self, *_: object) -> None: ...
    def take(self, _input: object) -> None: ...

    def feed(self, said: str) -> None:
        self.fed.append(said)

    async def caught_up(self) -> None:
        await self.room.wait()

    def heard(self) -> None:
        self.heards += 1

    def refuse(self, fault: PeerError) -> None:
        assert fault.close is not None
        self.end(fault.close, fault.message)

    def end(self, code: CloseCode, reason: str) -> None:
        if not self.ended:
            self.ended.append(code)
            self.sink.close(code, reason)

    def gone(self, *, goodbye: bool = False) -> None:
        self.gones += 1


class Path(FastPath):
    def __init__(self, clock: FakeClock, limits: Limits) -> None:
        super().__init__(Settings(limits=limits), cast(Any, None), clock)

    def connect(self, sink: Any) -> Any:
        return Connection(sink, self.limits)


class Rig:
    """A path with links on it."""

    def __init__(self, **limits: int) -> None:
        self.clock = FakeClock()
        self.path = Path(self.clock, Limits(**{"backlog_bytes": BACKLOG_BYTES, **limits}))
        self.connections: set[Any] = set()

    def link(self) -> tuple[FastLink, Transport, Connection]:
        transport = Transport()
        link = self.path.link(cast(Any, transport), self.connections)
        transport.link = link
        link.open(Decision(None, None))
        connection: Any = link._connection
        return link, transport, connection

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.path.ticker.run_due()


def event(size: int = 20, offset: int = 1) -> Framed:
    return Framed(Publication(TopicKey(None, "a:1"), Cursor("e", offset), b'{"x":"%b"}' % (b"x" * size)))


async def turn() -> None:
    """One turn of the loop."""
    await asyncio.sleep(0)
