"""What is sent and what an answer means, without I/O: both publishers are drivers of this.

An event is checked and encoded when it is made, with what the caller has in hand. Every event carries an idempotency
key, the caller's or one of ours, so that a request can be repeated until it is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import Exclude, encode_body
from tidings.core.limits import IDEMPOTENCY_KEY_LENGTH_MAX, Limits
from tidings.drafting import draft_of_call
from tidings.publisher.faults import Refused

_RETRY_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_PAUSE_SECONDS = 0.1
_PAUSE_SECONDS_MAX = 2.0
_REQUEST_EVENTS_MAX = 500  # in one request: together they are checked before the first is stored
_REQUEST_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One event, checked and encoded."""

    body: bytes
    topic: str
    idempotency_key: str

    @classmethod
    def of(
        cls,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any = None,
        user_id: str | None = None,
        tenant: str | None = None,
        timestamp: datetime | None = None,
        trace_id: str | None = None,
        version: int | None = None,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
    ) -> Outgoing:
        """The parameters are those of :meth:`tidings.Tidings.publish`.

        Raises PublishError, naming topic and field, for an event that could not be published.
        """
        draft = draft_of_call(
            topic, event, entity_id=entity_id, payload=payload, user_id=user_id, tenant=tenant, timestamp=timestamp,
            trace_id=trace_id, version=version,
        )  # fmt: skip
        if idempotency_key is not None and not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
            raise UsageError(f"idempotency_key must have 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters")
        key = idempotency_key or secrets.token_hex(16)
        try:
            body = encode_body(draft, Limits())
        except PeerError as fault:
            raise PublishError(fault) from None
        more: dict[str, Any] = {"idempotency_key": key}
        if exclude is not None:
            left_out = {"user": exclude.user, "session": exclude.session}
            more["exclude"] = {name: value for name, value in left_out.items() if value is not None}
        return cls(b"%b,%b" % (body[:-1], msgspec.json.encode(more)[1:]), topic, key)


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


def publishing(events: Iterable[Outgoing]) -> Iterator[Request]:
    """As few requests as the server's bounds allow, in order."""
    batch: list[Outgoing] = []
    size_bytes = 0
    for event in events:
        if batch and (len(batch) == _REQUEST_EVENTS_MAX or size_bytes + len(event.body) > _REQUEST_BYTES_MAX):
            yield _publish(batch)
            batch, size_bytes = [], 0
        batch.append(event)
        size_bytes += len(event.body) + 1
    if batch:
        yield _publish(batch)


def _publish(batch: list[Outgoing]) -> Request:
    body = b"[%b]" % b",".join(event.body for event in batch)
    return Request("POST", "publish", body, idempotency_keys=tuple(event.idempotency_key for event in batch))


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
