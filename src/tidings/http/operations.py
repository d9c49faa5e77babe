"""``POST disconnect`` and ``POST token``: what a back end does about its users."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tidings.auth.jwt import PATTERNS_MAX, mint_token
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError, UsageError
from tidings.http.answers import json_answer
from tidings.http.body import read_object
from tidings.http.surface import Surface

TTL_SECONDS = 3_600
TTL_SECONDS_MAX = 30 * 86_400  # a token cannot be taken back: a long life is a mistake


async def disconnect(request: Request, surface: Surface) -> Response:
    """``{"user", "tenant"?}`` or ``{"session"}`` to ``{"disconnected": how many}``."""
    caller = surface.keys.caller(request.headers.get("authorization"))
    body = await read_object(request, surface.settings.limits.body_bytes)
    user, session = _text(body, "user"), _text(body, "session")
    if user is None and session is None:
        raise _wrong("user", "is missing; name a user or a session")
    tenant = caller.acts_for(_text(body, "tenant"), "tenant")
    if caller.bound and user is None:
        raise _wrong("user", "is missing; a key that is bound to a tenant names the session's user too")
    count = await surface.backend.disconnect(user=user, tenant=tenant, session=session)
    return json_answer({"disconnected": count})


async def token(request: Request, surface: Surface) -> Response:
    """``{"user", "tenant"?, "subscribe"?, "publish"?, "ttl_seconds"?}`` to ``{"token", "expires_in_seconds"}``."""
    settings = surface.settings
    caller = surface.keys.caller(request.headers.get("authorization"))
    body = await read_object(request, settings.limits.body_bytes)
    if settings.secret is None:
        raise PeerError(ErrorCode.FORBIDDEN, "This server has no secret, so it cannot make tokens.")
    user = _text(body, "user")
    if user is None:
        raise _wrong("user", "is missing")
    ttl_seconds = body.get("ttl_seconds", TTL_SECONDS)
    if type(ttl_seconds) is not int or not 1 <= ttl_seconds <= TTL_SECONDS_MAX:
        raise _wrong("ttl_seconds", f"must be a whole number from 1 to {TTL_SECONDS_MAX}")
    try:
        minted = mint_token(
            settings.secret,
            user=user,
            tenant=caller.acts_for(_text(body, "tenant"), "tenant"),
            subscribe=_patterns(body, "subscribe"),
            publish=_patterns(body, "publish"),
            ttl_seconds=ttl_seconds,
            audience=settings.audience,
            issuer=settings.issuer,
            algorithm=settings.algorithms[0],
            now=datetime.now(UTC),
        )
    except UsageError as error:
        raise PeerError(ErrorCode.BAD_FRAME, str(error)) from None
    return json_answer({"token": minted, "expires_in_seconds": ttl_seconds})


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and value):
        raise _wrong(name, "must be a string that is not empty")
    return value


def _patterns(body: dict[str, Any], name: str) -> list[str] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > PATTERNS_MAX or not all(isinstance(v, str) for v in value):
        raise _wrong(name, f"must be a list of at most {PATTERNS_MAX} topic patterns")
    return value


def _wrong(name: str, why: str) -> PeerError:
    return PeerError(ErrorCode.BAD_FRAME, f"{name} {why}.", path=name)
