"""The header ``Tidings-Cursor``: set where a response is made, and readable by pages of other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CURSOR_HEADER = "Tidings-Cursor"
_EXPOSE_HEADER = "Access-Control-Expose-Headers"


def add_cursor(headers: MutableHeaders, topic: str, cursor: str) -> None:
    """Add ``topic=cursor``, behind those of other topics, and expose the header."""
    _append(headers, CURSOR_HEADER, f"{topic}={cursor}")
    expose_cursor(headers)


def expose_cursor(headers: MutableHeaders) -> None:
    """A header that is not exposed does not exist for pages of another origin."""
    exposed = [name.strip().lower() for name in headers.get(_EXPOSE_HEADER, "").split(",")]
    if CURSOR_HEADER in headers and CURSOR_HEADER.lower() not in exposed:
        _append(headers, _EXPOSE_HEADER, CURSOR_HEADER)


class ExposingMiddleware:
    """Exposes the header once more on the way out: a CORS middleware with a list of its own replaces ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                expose_cursor(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, sending)


def _append(headers: MutableHeaders, name: str, value: str) -> None:
    before = headers.get(name)
    headers[name] = value if not before else f"{before}, {value}"
