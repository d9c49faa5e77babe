"""What is sent and what an answer means, without I/O: both publishers are drivers of this.

Every event carries an idempotency
key, the caller's or one of ours, so that a request can be repeated until it is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import msgspec

from tidings.core.errors import PeerError, PublishError
from tidings.core.events import Outgoing, encode_body
from tidings.core.limits import Limits
from tidings.publisher.faults import Refused

_RETRY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 2.0
_REQUEST_EVENTS_MAX = 500  # in one request: together they are checked before the first is stored
_REQUEST_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the server.

    :ivar name: what stands after the prefix.
    :ivar idempotency_keys: of the events in it.
    """

    method: str
    name: str
    body: bytes | None = None
    query: str = ""
    idempotency_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """The answer asks for a repeat.

    :ivar seconds: the server's own wish, if it has one.
    """

    why: str
    seconds: float | None


def publishing(events: Iterable[Outgoing]) -> list[Request]:
    """As few requests as the server's bounds allow, in order.

    Raises PublishError for an event that could not be published, before anything is sent.
    """
    batches: list[list[tuple[bytes, str]]] = []
    size_bytes = 0
    for event in events:
        one = _encode(event)
        if not batches or len(batches[-1]) == _REQUEST_EVENTS_MAX or size_bytes + len(one[0]) > _REQUEST_BYTES_MAX:
            batches.append([])
            size_bytes = 0
        batches[-1].append(one)
        size_bytes += len(one[0]) + 1
    return [
        Request(
            "POST",
            "publish",
            b"[%b]" % b",".join(body for body, _ in batch),
            idempotency_keys=tuple(key for _, key in batch),
        )
        for batch in batches
    ]


def _encode(event: Outgoing) -> tuple[bytes, str]:
    """The event as the server wants it, and its key: without one it could not be sent twice."""
    key = event.idempotency_key or secrets.token_hex(16)
    draft = event.draft
    if event.tenant is not None:
        draft = msgspec.structs.replace(draft, data={**draft.data, "tenant_id": event.tenant})
    try:
        body = encode_body(draft, Limits())
    except PeerError as fault:
        raise PublishError(fault) from None
    more: dict[str, Any] = {"idempotency_key": key}
    if event.exclude is not None:
        left_out = {"user": event.exclude.user, "session": event.exclude.session}
        more["exclude"] = {name: value for name, value in left_out.items() if value is not None}
    return b"%b,%b" % (body[:-1], msgspec.json.encode(more)[1:]), key


def published(answer: Any) -> list[str]:
    """The cursors of a publish request's events, in their order."""
    return [str(one["cursor"]) for one in answer["published"]]


def cursors(topics: tuple[str, ...], tenant: str | None) -> Request:
    """Where topics stand."""
    query = [("topic", topic) for topic in topics] + ([] if tenant is None else [("tenant", tenant)])
    return Request("GET", "cursor", query=urlencode(query))


def token(claims: Mapping[str, Any]) -> Request:
    """A token for a page."""
    return _post("token", claims)


def disconnect(whom: Mapping[str, Any]) -> Request:
    """The end of a user's connections, or of one session."""
    return _post("disconnect", whom)


def _post(name: str, fields: Mapping[str, Any]) -> Request:
    return Request("POST", name, msgspec.json.encode({k: v for k, v in fields.items() if v is not None}))


def read(status: int, retry_after: str | None, body: bytes) -> Any | Again:
    """The answer's JSON, or that it should be asked for again. Raises Refused."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    error = answer.get("error") if isinstance(answer, dict) else None
    known = isinstance(error, dict) and isinstance(error.get("code"), str)
    code = str(error["code"]) if known and isinstance(error, dict) else f"http_{status}"
    message = str(error.get("message", "")) if known and isinstance(error, dict) else "is this a Tidings server?"
    if status in _RETRY_STATUS:
        return Again(f"{code}: {message}", _seconds(retry_after))
    raise Refused(code, message)


def pause_seconds(attempt: int, chance: float, wish: float | None = None) -> float:
    """How long to wait before the attempt after this one, counted from 0.

    :param chance: from 0 to 1: half of the pause is chance, so that many publishers do not come back together.
    """
    pause = min(_PAUSE_SECONDS_MAX, _FIRST_PAUSE_SECONDS * 2.0**attempt) * (0.5 + 0.5 * chance)
    return pause if wish is None else max(pause, wish)


def _seconds(retry_after: str | None) -> float | None:
    if retry_after is None or not retry_after.strip().isascii() or not retry_after.strip().isdigit():
        return None
    return float(retry_after.strip())
