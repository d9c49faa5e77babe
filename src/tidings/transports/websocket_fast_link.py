"""One WebSocket on the fast transport: the event loop's protocol on one side, the session's sink on the other.

No task, no queue, no timer: an idle connection is this object, its reader and its session. What is pushed in
one turn of the loop leaves in one write (:mod:`.websocket_fast_turn`). What the peer does not take waits in a
:class:`~tidings.transports.websocket_fast_backlog.Backlog`, and above its bounds the peer is cut off with 4503.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.framing import Framed
from tidings.core.inputs import Draining
from tidings.core.limits import exceeds
from tidings.core.seats import GOODBYES
from tidings.core.session import State
from tidings.core.websocket.frames import PING_FRAME, FrameFault, close_frame, pong_frame, text_frame
from tidings.core.websocket.reader import Binary, Close, FrameReader, Message, Ping, Pong, Text
from tidings.engine.drain import COME_BACK_SECONDS
from tidings.transports.waiting_age import BACKLOG_SECONDS
from tidings.transports.websocket_fast_backlog import Backlog
from tidings.transports.websocket_fast_turn import Joined

if TYPE_CHECKING:
    from tidings.transports.handshake import Decision
    from tidings.transports.websocket_fast_path import FastPath

log = logging.getLogger("tidings.websocket_fast")

CLOSE_SECONDS = 5.0  # from our close frame to the peer's; then the connection is reset
MESSAGE_SECONDS = 10.0  # from the first byte of a message to its last (C10)
LOOK_SECONDS = 2.0  # how often the age of a backlog is looked at
TURN_BYTES = 65_536  # so much of one turn is written before the turn has ended


class FastLink(asyncio.Protocol):
    """A sink (``ports.Sink``) that is its own protocol."""

    __slots__ = (
        "_backlog", "_closing", "_connection", "_connections", "_deadline", "_drained", "_path", "_pending", "_reader",
        "_resting", "_transport", "pushed_count",
    )  # fmt: skip

    sees_pongs = True

    def __init__(self, path: FastPath, transport: asyncio.Transport, connections: set[object]) -> None:
        self._path = path
        self._transport = transport
        self._connections = connections  # uvicorn's, by which it knows when it may stop
        self._reader: FrameReader | None = FrameReader(path.limits.frame_bytes)
        self._pending: Joined | None = None
        self._backlog: Backlog | None = None
        self._drained: asyncio.Event | None = None
        self._resting: asyncio.Task[None] | None = None
        self._closing = False  # our close frame is on its way, or there is nobody left to send one to
        self._deadline: float | None = None  # of the close handshake, or of a message that has begun
        self.pushed_count = 0
        self._connection = path.connect(self)
        connections.add(self)
        # Paused means, exactly: the kernel did not take everything.
        transport.set_write_buffer_limits(high=1, low=0)

    def answer(self, head: bytes) -> None:
        """Send the handshake's answer; what the session says within the next turn leaves in the same write."""
        self._pending = Joined(None, head)
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self.flush)

    def open(self, decision: Decision) -> None:
        """Let the session begin, or tell why not."""
        if decision.fault is not None:
            self._connection.refuse(decision.fault)
            return
        if decision.credentials is None and self._reader is not None:
            self._reader.message_bytes_max = self._path.limits.frame_bytes_before_auth
        self._connection.open(decision.credentials, decision.client_address)

    # The event loop's side.

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._reader is not None:
            self._reader.put(data)
            if self._resting is None:
                self._read()

    def eof_received(self) -> None:
        """The peer sends no more: the transport closes itself, and nothing more may be written to it."""
        self._closing = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever wanted it."""
        self._connections.discard(self)
        self._path.ticker.drop(self)
        self._closing = True
        self._pending = self._backlog = self._reader = None
        if self._drained is not None:
            self._drained.set()
        if self._resting is not None:
            self._resting.cancel()
        self._connection.gone()

    def pause_writing(self) -> None:
        """The kernel did not take everything: what comes now waits here."""
        if self._backlog is None:
            self._backlog = Backlog(self._transport.get_write_buffer_size(), self._path.clock.monotonic())
            self.flush()  # under TLS it is told late: what the turn has already goes first
            self._arm()
        self._backlog.held_back = True

    def resume_writing(self) -> None:
        """All has been taken: write on, until it is held back again."""
        backlog = self._backlog
        if backlog is None:
            return
        backlog.held_back = False
        while not backlog.held_back and (data := backlog.take()):
            self._transport.write(data)
        if not backlog.held_back:
            self._backlog = None
            self._arm()
        self._wake()

    def shutdown(self) -> None:
        """The server stops: send the client away, to come back when it likes within two seconds."""
        self._connection.take(Draining(int(COME_BACK_SECONDS * 1_000)))
        self._connection.end(CloseCode.SERVICE_RESTART, "the server restarts")

    # Reading.

    def _read(self) -> None:
        reader = self._reader
        try:
            while reader is not None and (message := reader.next()) is not None:
                self._received(message)
                if self._connection.is_behind and not self._closing:
                    self._rest()
                    return
                reader = self._reader
        except FrameFault as fault:
            self._broken(fault)
            return
        if reader is not None and not self._closing:
            self._watch_message(reader.unfinished)

    def _received(self, message: Message) -> None:
        if self._closing:
            if isinstance(message, Close):
                self._peer_closed(message.code)
            return
        match message:
            case Text(text):
                self._deadline = None
                self._connection.feed(text)
                if self._reader is not None:
                    self._reader.message_bytes_max = self._path.limits.frame_bytes  # the first one was auth
            case Ping(payload):
                self._put(pong_frame(payload))
                self._connection.heard()
            case Pong():
                self._connection.heard()
            case Close(code, _):
                self._peer_closed(code)
            case Binary(data):
                self._binary(data)

    def _binary(self, data: bytes) -> None:
        self._connection.end(CloseCode.UNSUPPORTED_DATA, "only text frames are read")

    def _peer_closed(self, code: int | None) -> None:
        """Answer its close frame, unless it is the answer to ours; then nothing is left to say."""
        answered, self._closing = self._closing, True
        self.flush()
        backlog = self._backlog
        if answered:
            while backlog is not None and (data := backlog.take()):
                self._transport.write(data)
        else:
            self._give_up_waiting()
            self._transport.write(close_frame(code))
        self._reader = None
        self._await_end()
        self._connection.gone(goodbye=code is None or code in GOODBYES)
        self._transport.close()

    def _broken(self, fault: FrameFault) -> None:
        """What comes can be read no more: say why, and let the peer see the end after it."""
        self._reader = None
        if self._connection.session.state is State.AWAITING_AUTH and fault.code is CloseCode.TOO_LARGE:
            told = f"The frame before authentication is {fault.reason}."
            self._connection.refuse(PeerError(ErrorCode.UNAUTHORIZED, told, close=fault.code))
        self._connection.end(fault.code, fault.reason)
        self.flush()
        if self._backlog is None and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()  # closing at once would reset what is under way to the peer, our reason too

    def _rest(self) -> None:
        """More frames wait for their answer than may: read no faster than we answer."""
        self._transport.pause_reading()
        self._resting = asyncio.get_running_loop().create_task(self._read_when_caught_up())

    async def _read_when_caught_up(self) -> None:
        await self._connection.caught_up()
        self._resting = None
        if self._reader is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._read()

    # The session's side (ports.Sink).

    def push(self, framed: Framed) -> None:
        """Send an event: the same bytes for every subscriber."""
        if self._closing:
            return
        self.pushed_count += 1
        frame = framed.websocket
        pending = self._pending
        if self._backlog is None:
            # The two cases of nearly every delivery, with no call that they can do without.
            if pending is None:
                self._pending = self._path.turn.begin(self, frame)
                return
            if pending.next is not None and pending.next_frame is frame:  # others have gone the same way
                self._pending = pending = pending.next
                if pending.size_bytes > TURN_BYTES:
                    self.flush()
                return
        self._put(frame)

    def send(self, frame: bytes) -> None:
        """Send a control frame."""
        if not self._closing:
            self.pushed_count += 1
            self._put(text_frame(frame))

    def ping(self) -> None:
        """Send a protocol ping."""
        if not self._closing:
            self._put(PING_FRAME)

    def close(self, code: int, reason: str) -> None:
        """Close after what waits; a slow reader's backlog is dropped, it recovers by its cursors."""
        if self._closing:
            return
        self._closing = True
        if code == CloseCode.TOO_SLOW:
            self._give_up_waiting()
        self._put(close_frame(code, reason))
        self._await_end()

    async def drained(self) -> None:
        """Return when little waits."""
        while self._much_waits() and not self._closing:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    # Writing.

    def flush(self) -> None:
        """Write what this turn has. Called by the turn at its end."""
        pending = self._pending
        if pending is None:
            return
        self._pending = None
        if self._backlog is not None:
            self._backlog.put(pending.data)
        else:
            try:
                self._transport.write(pending.data)
            except RuntimeError as error:  # uvloop, for a transport that the other side has closed meanwhile
                log.debug("a write failed: %s", error)
        if self._drained is not None:
            self._wake()

    def _put(self, frame: bytes) -> None:
        backlog = self._backlog
        if backlog is not None:
            backlog.put(frame)
            self._check(backlog)
            return
        pending = self._pending
        if pending is None:
            self._pending = self._path.turn.begin(self, frame)
            return
        self._pending = pending = pending.then(frame)
        if pending.size_bytes > TURN_BYTES:
            self.flush()

    def _check(self, backlog: Backlog) -> None:
        bytes_max = self._path.limits.backlog_bytes
        if exceeds(backlog.bytes + self._transport.get_write_buffer_size(), bytes_max) and not self._closing:
            self._too_slow()

    def _too_slow(self) -> None:
        log.info("session %s reads too slowly, and is cut off", self._connection.id)
        self._connection.end(CloseCode.TOO_SLOW, "too slow")

    def _give_up_waiting(self) -> None:
        self._pending = None
        if self._backlog is not None:
            self._backlog.drop()

    def _much_waits(self) -> bool:
        waiting_bytes = 0 if self._pending is None else self._pending.size_bytes
        if self._backlog is not None:
            waiting_bytes += self._backlog.bytes + self._transport.get_write_buffer_size()
        return waiting_bytes * 4 > self._path.limits.backlog_bytes > 0

    def _wake(self) -> None:
        if self._drained is not None and not self._much_waits():
            self._drained.set()
            self._drained = None

    # Deadlines: none while nothing is under way.

    def tick(self) -> float | None:
        """A deadline has passed."""
        now = self._path.clock.monotonic()
        if self._closing:
            if self._deadline is not None and now >= self._deadline:
                self._transport.abort()
                return None
        elif self._deadline is not None and now >= self._deadline:
            self._connection.end(CloseCode.TIMEOUT, f"a message took more than {MESSAGE_SECONDS:g} s")
        elif self._backlog is not None:
            held_seconds = self._backlog.age_seconds(self._transport.get_write_buffer_size(), now)
            if held_seconds >= BACKLOG_SECONDS:
                self._too_slow()
        return self._next_deadline()

    def _watch_message(self, unfinished: bool) -> None:
        if unfinished != (self._deadline is not None):
            self._deadline = self._path.clock.monotonic() + MESSAGE_SECONDS if unfinished else None
            self._arm()

    def _await_end(self) -> None:
        """The peer has so long to answer our close frame, or to take it."""
        self._deadline = self._path.clock.monotonic() + CLOSE_SECONDS
        self._arm()

    def _next_deadline(self) -> float | None:
        if self._backlog is None or self._closing:
            return self._deadline
        look_at = self._path.clock.monotonic() + LOOK_SECONDS
        return look_at if self._deadline is None else min(look_at, self._deadline)

    def _arm(self) -> None:
        deadline = self._next_deadline()
        if deadline is None:
            self._path.ticker.drop(self)
        else:
            self._path.ticker.set(self, deadline)
