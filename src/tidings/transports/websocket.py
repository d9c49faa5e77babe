"""WebSocket on any ASGI server: one message a frame, written by a short-lived task.

Protocol pings and pongs are the ASGI server's (uvicorn: ``ws_ping_interval``); they are not seen here, so a
silent peer is closed by the server's own ping, with the server's own code.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tidings.core.codes import CloseCode
from tidings.core.framing import Framed
from tidings.core.limits import exceeds
from tidings.core.seats import GOODBYES
from tidings.engine.connection import Connection
from tidings.engine.node import Node
from tidings.transports.handshake import Decision
from tidings.transports.waiting_age import WaitingAge

log = logging.getLogger("tidings.websocket")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLOSE_SECONDS = 5.0  # a peer that does not take its close frame in this time is dropped


class AsgiSink:
    """What waits for one connection, and the task that writes it while there is something to write."""

    sees_pongs = False

    def __init__(self, send: Send, backlog_bytes_max: int, on_slow: Callable[[], None]) -> None:
        self.pushed_count = 0
        self.abandoned = False  # the peer did not take its close frame
        self._send = send
        self._backlog_bytes_max = backlog_bytes_max
        self._on_slow = on_slow
        self._age = WaitingAge(on_slow)
        self._waiting: deque[tuple[str, int]] = deque()
        self._waiting_bytes = 0
        self._closing: tuple[int, str] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None
        self._endpoint = asyncio.current_task()
        self._deadline: asyncio.TimerHandle | None = None

    def push(self, framed: Framed) -> None:
        """Send an event."""
        self._put(framed.text, len(framed.json))

    def send(self, frame: bytes) -> None:
        """Send a control frame."""
        self._put(frame.decode(), len(frame))

    def ping(self) -> None:
        """Nothing: protocol pings are the ASGI server's."""

    def close(self, code: int, reason: str) -> None:
        """Close after what waits; a slow reader's backlog is dropped, it recovers by its cursors."""
        if self._closing is not None:
            return
        if code == CloseCode.TOO_SLOW:
            self._waiting.clear()
            self._waiting_bytes = 0
        self._closing = (code, reason)
        self._age.stop()
        if self._endpoint is not None:
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abandon, self._endpoint)
        self._write()

    def _abandon(self, endpoint: asyncio.Task[Any]) -> None:
        self.abandoned = True
        endpoint.cancel()

    async def drained(self) -> None:
        """Return when little waits."""
        if self._waiting_bytes * 4 > self._backlog_bytes_max > 0 and self._writer is not None:
            self._drained = asyncio.Event()
            await self._drained.wait()

    def gone(self) -> None:
        """The transport is closed: write nothing more."""
        self._closing = self._closing or (CloseCode.NORMAL, "")
        self._waiting.clear()
        self._waiting_bytes = 0
        self._age.stop()
        if self._deadline is not None:
            self._deadline.cancel()
        if self._writer is not None:
            self._writer.cancel()
        if self._drained is not None:
            self._drained.set()

    def _put(self, text: str, size_bytes: int) -> None:
        if self._closing is not None:
            return
        self.pushed_count += 1
        self._waiting.append((text, size_bytes))
        self._waiting_bytes += size_bytes
        self._age.put()
        if exceeds(self._waiting_bytes, self._backlog_bytes_max):
            self._on_slow()
        else:
            self._write()

    def _write(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._writing())

    async def _writing(self) -> None:
        try:
            while self._waiting:
                text, size_bytes = self._waiting.popleft()
                await self._send({"type": "websocket.send", "text": text})
                self._age.sent()
                self._waiting_bytes -= size_bytes if self._waiting_bytes else 0
                if self._drained is not None and self._waiting_bytes * 4 <= self._backlog_bytes_max:
                    self._drained.set()
                    self._drained = None
            if self._closing is not None:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason[:120]})
        except (OSError, RuntimeError) as error:
            # The peer is gone, which the reading side is told too; ASGI servers raise one or the other.
            log.debug("a write failed: %s", error)
        finally:
            self._writer = None


async def serve_websocket(node: Node, decision: Decision, receive: Receive, send: Send) -> None:
    """Run one WebSocket from accept to the end. Refused ones are accepted, told why, and closed with 44xx:
    a browser cannot read an HTTP status here.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    await send({"type": "websocket.accept"})
    slow: list[Connection] = []
    sink = AsgiSink(
        send, node.limits.backlog_bytes, lambda: slow[0].end(CloseCode.TOO_SLOW, "too slow") if slow else None
    )
    connection = node.connect(sink)
    slow.append(connection)
    goodbye = False
    try:
        if decision.fault is not None:
            connection.refuse(decision.fault)
        else:
            connection.open(decision.credentials, decision.client_address)
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                goodbye = message.get("code") in GOODBYES
                break
            text = message.get("text")
            if text is None:
                connection.end(CloseCode.UNSUPPORTED_DATA, "only text frames are read")
            else:
                connection.feed(text)
                await connection.caught_up()
    except asyncio.CancelledError:
        # Either the close deadline, or the server is stopped: both end here, quietly.
        log.debug("session %s was cut off", connection.session.id)
        if sink.abandoned:
            return
        raise
    finally:
        connection.gone(goodbye=goodbye)
        sink.gone()
