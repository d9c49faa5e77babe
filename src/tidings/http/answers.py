"""JSON answers and errors: the same codes as on the wire, each with its HTTP status."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tidings.core.codes import ErrorCode
from tidings.core.errors import BrokerUnavailable, PeerError
from tidings.http.surface import Surface

Endpoint = Callable[[Request, Surface], Awaitable[Response]]

_log = logging.getLogger("tidings.http")

STATUS: dict[ErrorCode, int] = {
    ErrorCode.BAD_JSON: 400,
    ErrorCode.BAD_FRAME: 400,
    ErrorCode.UNKNOWN_TYPE: 400,
    ErrorCode.BAD_TOPIC: 400,
    ErrorCode.UNKNOWN_TOPIC_TYPE: 400,
    ErrorCode.BAD_EVENT: 400,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.TOO_MANY_TOPICS: 400,
    ErrorCode.TOO_MANY_SUBSCRIPTIONS: 400,
    ErrorCode.TOO_MANY_CONNECTIONS: 429,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.AUTH_TIMEOUT: 408,
    ErrorCode.IDENTITY_CHANGED: 403,
    ErrorCode.ORIGIN_FORBIDDEN: 403,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NO_PRESENCE: 400,
    ErrorCode.UNKNOWN_SESSION: 404,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.BODY_TOO_LARGE: 413,
    ErrorCode.INTERNAL: 500,
}


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer that no cache keeps."""
    return Response(
        msgspec.json.encode(value),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type="application/json",
    )


def error_answer(fault: PeerError) -> Response:
    """``{"error": {"code", "message", "path"?, "topic"?}}`` with the status of the code."""
    error = {"code": fault.code.value, "message": fault.message}
    if fault.path is not None:
        error["path"] = fault.path
    if fault.topic is not None:
        error["topic"] = fault.topic
    headers = {}
    if fault.code is ErrorCode.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if fault.code is ErrorCode.UNAVAILABLE:
        headers["Retry-After"] = "1"
    return json_answer({"error": error}, STATUS[fault.code], headers)


def endpoint(function: Endpoint, surface: Surface) -> Callable[[Request], Awaitable[Response]]:
    """What Starlette calls: the function with every fault turned into an answer, ours without detail (C8)."""

    async def answer(request: Request) -> Response:
        try:
            return await function(request, surface)
        except PeerError as fault:
            return error_answer(fault)
        except BrokerUnavailable as error:
            _log.warning("%s: the broker did not answer: %s", request.url.path, error)
            return error_answer(PeerError(ErrorCode.UNAVAILABLE))
        except (HTTPException, ClientDisconnect):
            raise
        except Exception:
            _log.exception("%s %s failed", request.method, request.url.path)
            return error_answer(PeerError(ErrorCode.INTERNAL))

    return answer
