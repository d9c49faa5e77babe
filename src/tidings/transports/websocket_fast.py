"""The fast transport's door: a WebSocket protocol class for uvicorn.

``uvicorn --ws tidings.transports.websocket_fast:WebSocketProtocol``, or ``tidings serve`` and ``tidings run``,
which use it by default. uvicorn's HTTP protocol makes one for each upgrade, calls ``connection_made`` and hands
the request over as bytes. The path of a mounted Tidings is answered here, with no ASGI task and no queue; every
other request goes on, as it came, to the class that uvicorn would have used.

What uvicorn asks of such a class, and nowhere says: stand in ``server_state.connections`` until
``connection_lost``, have ``shutdown()``, and do not call ``set_protocol`` while it hands the request over, for
it sets its own afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.utils import get_client_addr, get_remote_addr, is_ssl
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol
from uvicorn.server import ServerState

from tidings.core.websocket.handshake import (
    HandshakeFault,
    UpgradeRequest,
    accept_answer,
    check_upgrade,
    parse_request,
)
from tidings.transports.websocket_fast_link import FastLink
from tidings.transports.websocket_fast_path import STATE_KEY, FastPath

if TYPE_CHECKING:
    from uvicorn._types import WebSocketScope

_uvicorn_log = logging.getLogger("uvicorn.error")


class WebSocketProtocol(asyncio.Protocol):
    """Stands at the door for the length of one request, then makes room for what serves it."""

    __slots__ = ("_app_state", "_config", "_inner", "_server_state", "_transport")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state
        self._inner: Any = None
        self._transport: Any = None

    # The contract with uvicorn.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP protocol passes its transport on."""
        self._transport = transport
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """The whole request; what comes while the loop still calls us is for our successor."""
        if self._inner is not None:
            self._inner.data_received(data)
            return
        target = data[: data.find(b"\r\n")].split(b" ")[1:2]
        path = fast_path(self._app_state, target[0]) if target else None
        if path is None:
            self._hand_over(data)
            return
        try:
            client, secure = get_remote_addr(self._transport), is_ssl(self._transport)
            arrival = Arrival(parse_request(data), self._transport, client, secure)
            self._succeeded_by(open_link(path, arrival, self._config, self._server_state))
        except HandshakeFault as fault:
            self._transport.write(fault.answer())
            self._transport.close()

    def eof_received(self) -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.eof_received()

    def pause_writing(self) -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Passed on."""
        self._connections.discard(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: a request that was refused has its answer already."""
        self._transport.close()

    # Inside.

    @property
    def _connections(self) -> set[Any]:
        return self._server_state.connections

    def _hand_over(self, data: bytes) -> None:
        assert AutoWebSocketsProtocol is not None, "websockets is one of our dependencies"
        make: Callable[..., Any] = AutoWebSocketsProtocol
        inner = make(config=self._config, server_state=self._server_state, app_state=self._app_state)
        inner.connection_made(self._transport)
        self._succeeded_by(inner)
        inner.data_received(data)

    def _succeeded_by(self, inner: Any) -> None:
        self._inner = inner
        self._connections.discard(self)
        asyncio.get_running_loop().call_soon(self._transport.set_protocol, inner)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to upgrade, and the connection on which it came.

    :ivar client: its address and port, as the socket has them.
    """

    request: UpgradeRequest
    transport: asyncio.Transport
    client: tuple[str, int] | None
    secure: bool


def fast_path(app_state: Mapping[str, Any], target: bytes) -> FastPath | None:
    """By the target as it was sent. One that means our path in other letters goes to our route, not past it."""
    paths: dict[bytes, FastPath] = app_state.get(STATE_KEY, {})
    return paths.get(target.partition(b"?")[0])


def open_link(path: FastPath, arrival: Arrival, config: Config, server_state: ServerState) -> FastLink:
    """Answer the handshake and let the session begin. Raises HandshakeFault where it is none."""
    request = arrival.request
    key = check_upgrade(request)
    scope = _scope(arrival, config)
    decision = path.decide(scope)
    link = path.link(arrival.transport, cast("set[Any]", server_state.connections))
    link.answer(accept_answer(key, server_state.default_headers))
    if _uvicorn_log.isEnabledFor(logging.INFO):
        # As uvicorn does; `mount` has seen to it that a token in the query is not written out.
        client = get_client_addr(cast("WebSocketScope", scope))
        _uvicorn_log.info('%s - "WebSocket %s" [accepted]', client, request.target.decode("latin-1"))
    link.open(decision)
    return link


def _scope(arrival: Arrival, config: Config) -> dict[str, Any]:
    """The ASGI scope, as far as the decision reads it."""
    request = arrival.request
    scope: dict[str, Any] = {
        "type": "websocket",
        "scheme": "wss" if arrival.secure else "ws",
        "client": arrival.client,
        "path": request.path.decode("latin-1"),
        "query_string": request.query,
        "headers": request.headers,
    }
    if config.proxy_headers and any(name.startswith(b"x-forwarded-") for name, _ in request.headers):
        trusted = config.forwarded_allow_ips
        _apply_proxy_headers(scope, trusted if isinstance(trusted, str) else tuple(trusted))
    return scope


def _apply_proxy_headers(scope: dict[str, Any], trusted: str | tuple[str, ...]) -> None:
    """Put the client's address and scheme in, where a trusted proxy names them: by uvicorn's own code.

    Its middleware awaits nothing but the application behind it, which here does nothing.
    """
    try:
        _proxy_headers(trusted)(scope, _nowhere, _nowhere).send(None)
    except StopIteration:
        return
    raise AssertionError("uvicorn's ProxyHeadersMiddleware awaits something that is not there")


@lru_cache(maxsize=16)
def _proxy_headers(trusted: str | tuple[str, ...]) -> Any:
    return ProxyHeadersMiddleware(_nowhere, trusted_hosts=trusted if isinstance(trusted, str) else list(trusted))


async def _nowhere(*_: Any) -> Any:
    """An application that does nothing."""
