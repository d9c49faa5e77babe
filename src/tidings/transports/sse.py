"""Server-Sent Events: one response that does not end, its records the frames of a session.

Event frames and control frames are ``data:`` records alike, so a plain ``EventSource`` sees all of them, and
``curl -N`` shows them. What a WebSocket's close code says is the last record, ``event: close``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections import deque
from collections.abc import Callable

from tidings.core.codes import CloseCode
from tidings.core.frames import Reconnect, decode_server_frame
from tidings.core.framing import Framed, sse_record
from tidings.core.limits import Limits, exceeds
from tidings.engine.node import Node
from tidings.transports.admission import Admission
from tidings.transports.asked import asked_of_stream
from tidings.transports.positions import Positions
from tidings.transports.sessions import Sessions
from tidings.transports.visit import Send, Visit
from tidings.transports.waiting_age import WaitingAge

log = logging.getLogger("tidings.sse")

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-store, no-transform",
    "X-Accel-Buffering": "no",  # nginx, and what has learned it from nginx, passes each record on at once (F32)
}
COMMENT_SECONDS = 15.0  # proxies give up after 30 s of silence and more (F29)
PADDING = b":" + b" " * 2_046 + b"\n"  # what buffers the first bytes of a response is filled by it (F32, P26)
RETRY_MS = (1_000, 4_000)  # an EventSource comes back after a time in between: not all in the same moment
WRITE_BYTES = 65_536  # what goes out in one write
SLOW_SECONDS = 5.0
BURST_FACTOR = 16
CLOSE_SECONDS = 5.0  # a peer that does not take its last record in this time is dropped


class SseSink:
    """What waits for one stream, and the task that writes it while there is something to write.

    :param limits: a reader is too slow when more than ``backlog_bytes`` waits for SLOW_SECONDS, or, at any
        moment, BURST_FACTOR times as much: what was missed comes in pages, and a page may be larger than the
        bound without anybody being slow. However little it is, nothing waits longer than BACKLOG_SECONDS.
    :param on_slow: called when it is so; it is expected to close.
    """

    sees_pongs = False

    def __init__(self, send: Send, limits: Limits, on_slow: Callable[[], None]) -> None:
        self.pushed_count = 0
        self.admission = Admission()
        self.finished = asyncio.Event()  # everything is written, or nobody reads any more
        self._send = send
        self._backlog_bytes_max = limits.backlog_bytes
        self._comment_seconds = min(COMMENT_SECONDS, limits.heartbeat_seconds or COMMENT_SECONDS)
        self._on_slow = on_slow
        self._age = WaitingAge(on_slow)
        self._positions: Positions | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._begun = False
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None
        self._loop = asyncio.get_running_loop()
        self._spoke_at = 0.0
        self._comment: asyncio.TimerHandle | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def begin(self, *, with_ids: bool) -> None:
        """The response has begun: write what waits, and whatever comes."""
        self._positions = Positions() if with_ids else None
        self._begun = True
        retry_ms = RETRY_MS[0] + secrets.randbelow(RETRY_MS[1] - RETRY_MS[0])
        self._waiting.appendleft(b"%bretry: %d\n\n" % (PADDING, retry_ms))
        self._waiting_bytes += len(self._waiting[0])
        self._age.put()
        self._spoke_at = self._loop.time()
        self._comment = self._loop.call_later(self._comment_seconds, self._comment_if_quiet)
        self._write()

    def push(self, framed: Framed) -> None:
        """Send an event: the shared record, with this session's own ``id:`` before it."""
        self.pushed_count += 1
        if self._positions is not None and (line := self._positions.moved(framed.publication)):
            self._put(line, framed.sse)
        else:
            self._put(framed.sse)

    def send(self, frame: bytes) -> None:
        """Send a control frame."""
        self.pushed_count += 1
        decoded = decode_server_frame(frame)
        self.admission.look(decoded)
        line = b"" if self._positions is None else self._positions.answered(decoded)
        if isinstance(decoded, Reconnect):
            line += b"retry: %d\n" % secrets.randbelow(decoded.delay_ms + 1)
        self._put(line, sse_record(frame))

    def ping(self) -> None:
        """Nothing: the comments are this transport's sign of life."""

    def close(self, code: int, reason: str) -> None:
        """End the stream after what waits; a slow reader's backlog is dropped, it recovers by its cursors."""
        if self._closing:
            return
        self.admission.closed(code)
        if code == CloseCode.TOO_SLOW:
            self._waiting.clear()
            self._waiting_bytes = 0
        self._put(_close_record(code, reason))
        self._closing = True
        self._age.stop()
        self._deadline = self._loop.call_later(CLOSE_SECONDS, self.finished.set)
        self._write()

    async def drained(self) -> None:
        """Return when little waits."""
        while not self._closing and self._waiting_bytes * 4 > self._backlog_bytes_max > 0:
            if self._drained is None:
                self._drained = asyncio.Event()
            await self._drained.wait()

    def gone(self) -> None:
        """The transport is closed: write nothing more."""
        self._closing = True
        self._waiting.clear()
        self._waiting_bytes = 0
        self._age.stop()
        for timer in (self._comment, self._slow, self._deadline):
            if timer is not None:
                timer.cancel()
        if self._writer is not None:
            self._writer.cancel()
        self._wake()

    def _put(self, *parts: bytes) -> None:
        if self._closing:
            return
        self._waiting.extend(parts)
        self._waiting_bytes += sum(map(len, parts))
        self._age.put(len(parts))
        self._spoke_at = self._loop.time()
        if exceeds(self._waiting_bytes, self._backlog_bytes_max):
            self._exceeded()
        self._write()

    def _exceeded(self) -> None:
        if exceeds(self._waiting_bytes, self._backlog_bytes_max * BURST_FACTOR):
            self._on_slow()
        elif self._slow is None:
            self._slow = self._loop.call_later(SLOW_SECONDS, self._on_slow)

    def _comment_if_quiet(self) -> None:
        now = self._loop.time()
        if now - self._spoke_at >= self._comment_seconds and self._writer is None:
            self._put(b": still here\n\n")
        wait_seconds = max(self._spoke_at + self._comment_seconds - now, 0.5)
        self._comment = self._loop.call_later(wait_seconds, self._comment_if_quiet)

    def _write(self) -> None:
        if self._begun and self._writer is None:
            self._writer = self._loop.create_task(self._writing())

    async def _writing(self) -> None:
        try:
            while self._waiting:
                body, count = self._next_bytes()
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
                self._age.sent(count)
                self._waiting_bytes = max(0, self._waiting_bytes - len(body))
                self._look_at_backlog()
            if self._closing:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                self.finished.set()
        except Exception as error:
            # The peer is gone: servers and middlewares each raise something else then, or nothing at all.
            log.debug("a write failed: %r", error)
            self.finished.set()
        finally:
            self._writer = None

    def _next_bytes(self) -> tuple[bytes, int]:
        """What waits, as much as one write takes, and of how many parts it is.

        What one turn of the loop brings leaves together.
        """
        parts = [self._waiting.popleft()]
        size_bytes = len(parts[0])
        while self._waiting and size_bytes + len(self._waiting[0]) <= WRITE_BYTES:
            parts.append(self._waiting.popleft())
            size_bytes += len(parts[-1])
        return b"".join(parts), len(parts)

    def _look_at_backlog(self) -> None:
        if self._slow is not None and self._waiting_bytes <= self._backlog_bytes_max:
            self._slow.cancel()
            self._slow = None
        if self._waiting_bytes * 4 <= self._backlog_bytes_max:
            self._wake()

    def _wake(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None


async def serve_stream(visit: Visit, node: Node, sessions: Sessions) -> None:
    """Run one event stream from its credentials to its end. Raises PeerError before the response has begun."""
    sink = SseSink(visit.send, node.limits, lambda: connection.end(CloseCode.TOO_SLOW, "too slow"))
    connection = node.connect(sink)
    watching: asyncio.Task[None] | None = None
    try:
        with sessions.open(connection):
            connection.open(visit.credentials, visit.client_address)
            fault = await sink.admission.fault()
            if fault is not None:
                raise fault
            asked = await asked_of_stream(visit.request, node.limits)
            await visit.start(200, HEADERS)
            sink.begin(with_ids=asked.with_ids)
            with sessions.taking_frames(connection):
                for frame in asked.frames(node.limits.topics_per_frame):
                    connection.feed(frame)
                watching = asyncio.create_task(visit.left())
                watching.add_done_callback(lambda _: sink.finished.set())
                await sink.finished.wait()
    finally:
        if watching is not None:
            watching.cancel()
        connection.gone()
        sink.gone()


def _close_record(code: int, reason: str) -> bytes:
    text = json.dumps({"code": int(code), "reason": reason}, separators=(",", ":"))
    return b"event: close\ndata: %b\n\n" % text.encode()
