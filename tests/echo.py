"""The fast transport with an echo behind it instead of sessions: what suites of the protocol talk to.

The product has no such mode: it is made here, from the outside, by what an application puts into the lifespan.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from tidings import Limits, Settings
from tidings.core.codes import CloseCode
from tidings.core.identity import Identity
from tidings.core.limits import Limits as LimitsType
from tidings.core.session import Session
from tidings.core.websocket.frames import BINARY, encode_frame
from tidings.core.websocket.reader import FrameReader
from tidings.engine.clock import SystemClock
from tidings.ports import Sink
from tidings.transports.handshake import Decision
from tidings.transports.websocket_fast_link import FastLink
from tidings.transports.websocket_fast_path import STATE_KEY, FastPath

PATH = "/realtime/ws"
UNBOUNDED = Limits(frame_bytes=0, frame_bytes_before_auth=0, backlog_bytes=0, hold_bytes=0)


class EchoConnection:
    """What the link asks of ``engine.connection.Connection``."""

    id = "echo"
    is_behind = False

    def __init__(self, sink: Sink, limits: LimitsType) -> None:
        self._sink = sink
        self.session = Session("echo", limits, sink.push, 0.0)

    def open(self, *_: object) -> None:
        self.session.identity = Identity(user="echo")

    def feed(self, text: str) -> None:
        self._sink.send(text.encode())

    def end(self, code: CloseCode, reason: str) -> None:
        self._sink.close(code, reason)

    def heard(self) -> None: ...
    def gone(self, *, goodbye: bool = False) -> None: ...
    def take(self, _input: object) -> None: ...


class EchoLink(FastLink):
    __slots__ = ()

    def __init__(self, path: FastPath, transport: asyncio.Transport, connections: set[Any]) -> None:
        super().__init__(path, transport, connections)
        self._reader = FrameReader(path.limits.frame_bytes, fragments_max=0)

    def _binary(self, data: bytes) -> None:
        self._put(encode_frame(BINARY, data))


class EchoPath(FastPath):
    def __init__(self, limits: LimitsType) -> None:
        super().__init__(Settings(limits=limits), None, SystemClock())  # type: ignore[arg-type]

    def link(self, transport: asyncio.Transport, connections: set[Any]) -> FastLink:
        return EchoLink(self, transport, connections)

    def connect(self, sink: Sink) -> Any:
        return EchoConnection(sink, self.limits)

    def decide(self, scope: Any) -> Decision:
        return Decision(None, None)


def echo_application(limits: LimitsType = UNBOUNDED) -> ASGIApp:
    """An application whose fast path echoes, and which has nothing else."""
    path = EchoPath(limits)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan", "every WebSocket is taken by the fast path"
        scope["state"][STATE_KEY] = {path.path: path}
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})

    return application
