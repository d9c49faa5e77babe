"""uvicorn's HTTP protocol with bounds on a request's head: how long it may take, and how large it may be.

uvicorn waits for a head for ever, and keeps all of it: a stranger could hold a connection by a byte a minute, and
memory by headers without end (C8, C12). ``tidings serve`` and ``run`` use this one. It also passes on what came in
one piece with a WebSocket's handshake, which uvicorn drops.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidings.core.websocket.handshake import HandshakeFault, UpgradeRequest
from tidings.transports.websocket_fast import Arrival, WebSocketProtocol, fast_path, open_link
from tidings.transports.websocket_fast_path import FastPath

HEAD_SECONDS = 5.0  # from the connection, or from a request's first byte, to its head's end
HEAD_BYTES_MAX = 65_536  # as the other common parser (h11) has it
HEADERS_MAX = 256

_ANSWERS = {
    408: b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
}


class GuardedHttpProtocol(HttpToolsProtocol):
    """One HTTP connection, which ends where a head breaks the bounds."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._reading_head = False
        self._head_bytes = 0
        self._piece = b""
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first request's time begins."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, for as long as the head keeps to its bounds."""
        if self.transport.is_closing():
            return  # refused: the rest of it is not wanted
        self._head_bytes += len(data)
        self._piece = data
        super().data_received(data)
        self._piece = b""
        if self._reading_head and (self._head_bytes > HEAD_BYTES_MAX or len(self.headers or ()) > HEADERS_MAX):
            self._refuse(431)

    def on_message_begin(self) -> None:
        """A request's first byte."""
        super().on_message_begin()
        if not self._reading_head:
            self._head_bytes = 0
            self._begin_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._end_head()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand over, with the bytes behind the handshake, if any came with it."""
        upgrade = sys.exc_info()[1]  # we are called while it is handled: it says how much has been read
        path = fast_path(self.app_state, self.url) if self.ws_protocol_class is WebSocketProtocol else None
        if path is None:
            super().handle_websocket_upgrade()
        elif not self._open(path):
            return
        rest = self._piece[upgrade.args[0] :] if isinstance(upgrade, httptools.HttpParserUpgrade) else b""
        if rest:
            successor: Any = self.transport.get_protocol()
            successor.data_received(rest)
        self.parser = None  # type: ignore[assignment]  # it and we hold each other, and nobody holds us any more

    def _open(self, path: FastPath) -> bool:
        """Our own path: what has been parsed need not be written down and parsed again."""
        request = UpgradeRequest(self.scope["method"].encode(), self.url, self.headers)
        arrival = Arrival(request, self.transport, self.client, self.scheme == "https")
        try:
            link = open_link(path, arrival, self.config, self.server_state)
        except HandshakeFault as fault:
            self.transport.write(fault.answer())
            self.transport.close()
            return False
        self.connections.discard(self)
        self.transport.set_protocol(link)
        return True

    def _begin_head(self) -> None:
        self._reading_head = True
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._refuse, 408)

    def _end_head(self) -> None:
        self._reading_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int) -> None:
        self._end_head()
        if not self.transport.is_closing():
            if self._head_bytes:  # who said nothing gets no answer
                self.transport.write(_ANSWERS[status])
            self.transport.close()
