"""Trace ids (W3C Trace Context): the request's goes on the events that it causes.

So a client that sent the header knows its own change when the event comes back, and one id leads through
the logs of both servers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SCOPE_KEY = "tidings.trace_id"
_HEX = frozenset(b"0123456789abcdef")
_trace_id: ContextVar[str | None] = ContextVar("tidings_trace_id", default=None)

# OpenTelemetry is used where the application has it, and never asked for.
_get_current_span: Callable[[], Any] | None = None
with suppress(ImportError):
    _get_current_span = import_module("opentelemetry.trace").get_current_span


class TraceMiddleware:
    """Pure ASGI: keeps a request's trace id for the code that serves it, and in ``scope["tidings.trace_id"]``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its trace id."""
        if scope["type"] != "http":
            # A WebSocket lives for hours: its handshake's trace is not that of what it later sends.
            await self._app(scope, receive, send)
            return
        trace_id = _from_headers(scope["headers"])
        if trace_id is not None:
            scope[SCOPE_KEY] = trace_id
        token = _trace_id.set(trace_id)
        try:
            await self._app(scope, receive, send)
        finally:
            _trace_id.reset(token)


def current_trace_id() -> str | None:
    """The trace id of the request that is being served; else that of OpenTelemetry's span; else None.

    The header comes first, for the client looks for the id that it sent; a tracer that continues the trace
    has the same.
    """
    return _trace_id.get() or _from_span()


def new_trace_id() -> str:
    """A trace id for what has none: 32 lower-case hex digits."""
    return secrets.token_hex(16)


def parse_traceparent(value: bytes) -> str | None:
    """The trace id in a ``traceparent`` header, read as strictly as the rule asks; None for anything else.

    https://www.w3.org/TR/trace-context/#traceparent-header-field-values: version, trace id, parent id and
    flags in lower-case hex; version ff, and ids of zeros, are invalid; only a later version may be longer.
    """
    parts = value.strip(b" \t").split(b"-", 4)
    if len(parts) < 4 or [len(part) for part in parts[:4]] != [2, 32, 16, 2]:
        return None
    version, trace_id, parent_id, _flags = parts[:4]
    if not all(set(part) <= _HEX for part in parts[:4]):
        return None
    if version == b"ff" or (version == b"00" and len(parts) > 4):
        return None
    if not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    return trace_id.decode()


def _from_headers(headers: Any) -> str | None:
    found = [value for name, value in headers if name == b"traceparent"]
    return parse_traceparent(found[0]) if len(found) == 1 else None  # the rule: several are none


def _from_span() -> str | None:
    if _get_current_span is None:
        return None
    context = _get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
