"""How uvicorn's protocol class finds the application's Tidings: through the lifespan's state.

``Tidings.mount`` puts a :class:`FastPath` into it, uvicorn hands the state to every protocol that it makes, and
:class:`~tidings.transports.websocket_fast.WebSocketProtocol` takes the upgrades of that path. A server that does
not know it leaves it alone; where no lifespan runs, as in a sub-application, there is no fast path, and the
route behind it serves. Nothing is global: two applications in one process do not see each other's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from tidings.engine.connection import Connection
from tidings.engine.node import Node
from tidings.engine.ticker import Ticker
from tidings.ports import Clock, Sink
from tidings.settings import Settings
from tidings.transports.handshake import Decision, decide
from tidings.transports.websocket_fast_link import FastLink
from tidings.transports.websocket_fast_turn import Turn

log = logging.getLogger("tidings.websocket_fast")

STATE_KEY = "tidings.fast_paths"  # of the lifespan's state: path, as bytes, to FastPath

# What these do is for HTTP, or for an endpoint that reads a session's cookie, which ours does not.
# By name: some of them can be imported only where a package is installed that we do not need.
_WITHOUT_EFFECT = frozenset({"BaseHTTPMiddleware", "CORSMiddleware", "GZipMiddleware", "SessionMiddleware"})


class FastPath:
    """One path and what stands behind it; made once, shared by all its connections.

    :ivar turn: joins the writes of one turn of the loop.
    :ivar ticker: the deadlines of connections that have one; idle ones have none.
    """

    def __init__(self, settings: Settings, node: Node, clock: Clock) -> None:
        self.path = f"{settings.prefix}/ws".encode()
        self.limits = settings.limits
        self.clock = clock
        self.turn = Turn(clock)
        self.ticker = Ticker(clock)
        self._settings = settings
        self._node = node
        self._untold: list[str] = []

    def begin(self, skipped: Iterable[str]) -> None:
        """The application starts on this loop. ``skipped`` names the middleware that will not run on this path."""
        self.turn.clear()
        self.ticker.close()
        self._untold = list(skipped)

    def link(self, transport: asyncio.Transport, connections: set[Any]) -> FastLink:
        """What serves one WebSocket whose handshake has been answered."""
        return FastLink(self, transport, connections)

    def connect(self, sink: Sink) -> Connection:
        """A connection for a new sink."""
        self._warn()
        return self._node.connect(sink)

    def decide(self, scope: Mapping[str, Any]) -> Decision:
        """The decision that all transports share."""
        return decide(scope, cookie=self._settings.cookie, allowed_origins=self._settings.allowed_origins)

    def _warn(self) -> None:
        """Once: what the application relies on in front of its WebSockets does not stand in front of this one."""
        if self._untold:
            names, self._untold = ", ".join(self._untold), []
            log.warning(
                "the fast WebSocket transport takes %s before the application's middleware: %s does not run for it. "
                "Where it must, start with --websocket asgi.",
                self.path.decode(),
                names,
            )


class FastPathMiddleware:
    """Tells the server of the fast path when the application starts; nothing but the lifespan is touched."""

    def __init__(self, app: ASGIApp, path: FastPath) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] == "lifespan" and "state" in scope:
            self._path.begin(_skipped(scope.get("app")))
            # A dict in the state: the copies of the state that servers hand on share it.
            scope["state"].setdefault(STATE_KEY, {})[self._path.path] = self._path
        await self._app(scope, receive, send)


def _skipped(app: object) -> list[str]:
    if not isinstance(app, Starlette):
        return []
    kinds = [kind for middleware in app.user_middleware if isinstance(kind := middleware.cls, type)]
    return [kind.__name__ for kind in kinds if not _has_no_effect(kind)]


def _has_no_effect(kind: type) -> bool:
    if kind.__module__.startswith("tidings."):
        return True
    return any(
        base.__module__.startswith("starlette.middleware.") and base.__name__ in _WITHOUT_EFFECT
        for base in kind.__mro__
    )
