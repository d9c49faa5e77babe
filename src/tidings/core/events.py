"""The event: what a publisher hands in, what is checked, and the bytes that every subscriber gets.

The body is encoded once, without a cursor, and travels through brokers as bytes that nobody decodes.
:func:`splice_cursor` puts the position in, once for each publication on each node.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from tidings.core.codes import ErrorCode
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.limits import (
    ENTITY_ID_LENGTH_MAX,
    EVENT_NAME_LENGTH_MAX,
    NESTING_MAX,
    TRACE_ID_LENGTH_MAX,
    Limits,
)
from tidings.core.topics import TopicKey, check_topic

VERSION_MAX = 2**53 - 1  # what JavaScript holds exactly
_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})", re.ASCII)
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Exclude:
    """Whom a publication leaves out (R10): one's own change need not come back.

    By user it holds in recovery too; by session, as long as the session lives.
    """

    user: str | None = None
    session: str | None = None

    def covers(self, user: str | None, session: str) -> bool:
        """Whether this connection is left out."""
        return session == self.session or (self.user is not None and user == self.user)


class Publication(NamedTuple):
    """One event of one topic with its place: what a broker stores and hands to every node."""

    key: TopicKey
    cursor: Cursor
    body: bytes
    exclude: Exclude | None = None


class EventData(msgspec.Struct, frozen=True, kw_only=True):
    """The ``data`` of an event, as a subscriber reads it."""

    entity_id: str
    payload: Any = None
    user_id: str | None = None
    tenant_id: str | None = None
    timestamp: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event as a subscriber reads it. Unknown fields are ignored."""

    topic: str
    event: str
    data: EventData
    trace_id: str | None = None
    version: int | None = None
    cursor: str | None = None

    @property
    def entity_id(self) -> str:
        """Which entity it is about."""
        return self.data.entity_id

    @property
    def payload(self) -> Any:
        """What happened to it: the full object, a part, or None for "fetch it"."""
        return self.data.payload


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has been checked and not yet encoded. ``data`` keeps the fields that we do not know."""

    topic: str
    event: str
    data: dict[str, Any]
    trace_id: str | None = None
    version: int | None = None


class Outgoing(NamedTuple):
    """An event that has been checked, with where it goes; ``tidings.outgoing`` makes one."""

    draft: Draft
    tenant: str | None = None
    exclude: Exclude | None = None
    idempotency_key: str | None = None


def draft_from(value: Mapping[str, Any]) -> Draft:
    """Check an event that came as JSON. Raises PeerError with the code and the path of the fault."""
    topic = value.get("topic")
    if not isinstance(topic, str):
        raise _bad("topic", _missing_or(topic, 'a string such as "gift-list:123"'))
    check_topic(topic)
    name = value.get("event")
    if not isinstance(name, str) or not 0 < len(name) <= EVENT_NAME_LENGTH_MAX:
        raise _bad(
            "event",
            _missing_or(name, f"a name such as UPDATED, of at most {EVENT_NAME_LENGTH_MAX} characters"),
        )
    data = value.get("data")
    if not isinstance(data, dict):
        raise _bad("data", _missing_or(data, "an object with entity_id and payload"))
    _check_data(data)
    trace_id = value.get("trace_id")
    if trace_id is not None and not (isinstance(trace_id, str) and 0 < len(trace_id) <= TRACE_ID_LENGTH_MAX):
        raise _bad("trace_id", f"must be a string of 1 to {TRACE_ID_LENGTH_MAX} characters")
    version = value.get("version")
    if isinstance(version, float) and version.is_integer():
        version = int(version)  # JSON knows one kind of number: 1.0 is 1
    if version is not None and not (type(version) is int and 1 <= version <= VERSION_MAX):
        raise _bad("version", "must be a whole number of 1 or more: the version of the payload's schema")
    return Draft(topic=topic, event=name, data=data, trace_id=trace_id, version=version)


def _check_data(data: Mapping[str, Any]) -> None:
    entity_id = data.get("entity_id")
    if not isinstance(entity_id, str) or not 0 < len(entity_id) <= ENTITY_ID_LENGTH_MAX:
        raise _bad("data.entity_id", _missing_or(entity_id, f"a string of 1 to {ENTITY_ID_LENGTH_MAX} characters"))
    for name in ("user_id", "tenant_id"):
        value = data.get(name)
        if value is not None and not isinstance(value, str):
            raise _bad(f"data.{name}", "must be a string")
    timestamp = data.get("timestamp")
    if timestamp is not None and not (isinstance(timestamp, str) and is_timestamp(timestamp) and _fits_utc(timestamp)):
        raise _bad("data.timestamp", "must be a time in ISO 8601 with its zone, such as 2026-11-23T15:00:00.000Z")


def is_timestamp(text: str) -> bool:
    """Whether the text is a time of ISO 8601 with its zone, and one that the calendar has."""
    if _TIMESTAMP.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text[:19])  # the calendar; fractions of 1 to 9 digits are the pattern's work
        if not text.endswith("Z"):
            timezone_hours, timezone_minutes = int(text[-5:-3]), int(text[-2:])
            return timezone_hours <= 23 and timezone_minutes <= 59
    except ValueError:
        return False
    return True


def _fits_utc(timestamp: str) -> bool:
    try:
        in_utc(timestamp)
    except OverflowError:
        return False  # at the calendar's edge, the zone leads over it
    return True


def in_utc(timestamp: str) -> str:
    """A time that ``is_timestamp`` has taken, in UTC (F70); one that ends with Z is left as it is."""
    if timestamp.endswith("Z"):
        return timestamp
    return format_timestamp(datetime.fromisoformat(timestamp))


def format_timestamp(when: datetime) -> str:
    """A time as events carry it: UTC, milliseconds, ``Z`` (F70). Raises ValueError for a time without a zone."""
    if when.tzinfo is None:
        raise ValueError("a timestamp needs a time zone; use datetime.now(timezone.utc)")
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode_body(draft: Draft, limits: Limits) -> bytes:
    """Encode the event compactly, from the known top-level fields, without a cursor.

    Raises PeerError ``bad_event``, naming topic and field, for what cannot be JSON; ``payload_too_large``
    above the limit. Takes what a Python API has in its hands (A11): datetime, date, UUID, Decimal, Enum,
    dataclasses, pydantic and msgspec models, sets, tuples.
    """
    try:
        payload = _ENCODER.encode(draft.data.get("payload"))
    except Exception as error:  # a model's own code runs here, and may raise anything
        raise _unencodable(draft.topic, "data.payload", draft.data.get("payload"), error) from error
    if limits.payload_bytes and len(payload) > limits.payload_bytes:
        raise PeerError(
            ErrorCode.PAYLOAD_TOO_LARGE,
            f"The payload for {draft.topic} has {len(payload)} bytes, and {limits.payload_bytes} is the limit; "
            "publish a reference (payload null) and let the client fetch the entity.",
            topic=draft.topic,
            path="data.payload",
        )
    fields: dict[str, Any] = {
        "topic": draft.topic,
        "event": draft.event,
        "data": {**draft.data, "payload": msgspec.Raw(payload)},
    }
    if draft.trace_id is not None:
        fields["trace_id"] = draft.trace_id
    if draft.version is not None:
        fields["version"] = draft.version
    try:
        body = _ENCODER.encode(fields)
    except Exception as error:
        raise _unencodable(draft.topic, "data", draft.data, error) from error
    if nests_too_deep(body):
        raise PeerError(
            ErrorCode.BAD_EVENT,
            f"The event for {draft.topic} nests deeper than {NESTING_MAX} levels; flatten the payload.",
            topic=draft.topic,
            path="data.payload",
        )
    return body


def splice_cursor(body: bytes, cursor: Cursor) -> bytes:
    """The frame of an event: its body with the cursor put in before the last brace."""
    return b'%b,"cursor":"%b"}' % (body[:-1], str(cursor).encode())


def nests_too_deep(text: bytes) -> bool:
    """Whether JSON text nests deeper than NESTING_MAX. Linear, and free for most texts."""
    if text.count(b"[") + text.count(b"{") <= NESTING_MAX:
        return False
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        char = token[0][:1]
        if char in b"[{":
            depth += 1
            if depth > NESTING_MAX:
                return True
        elif char in b"]}":
            depth -= 1
    return False


def _encode_foreign(value: Any) -> Any:
    """What msgspec does not know: pydantic models by their own JSON mode, sets of any kind as arrays."""
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return dump(mode="json")
    if isinstance(value, Set | Mapping):
        return dict(value) if isinstance(value, Mapping) else list(value)
    raise TypeError(f"{type(value).__name__} cannot be JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_foreign)


def _unencodable(topic: str, path: str, value: Any, error: Exception) -> PeerError:
    where, culprit = _find_unencodable(path, value)
    kind = type(culprit).__name__
    return PeerError(
        ErrorCode.BAD_EVENT,
        f"{where} of the event for {topic} cannot be JSON: it is a {kind} ({error}). "
        "Pass plain data, a dataclass, or a pydantic or msgspec model.",
        topic=topic,
        path=where,
    )


def _find_unencodable(path: str, value: Any, depth: int = 0) -> tuple[str, Any]:
    """Follow the first child that fails alone; the deepest such one is the culprit."""
    children: list[tuple[str, Any]] = []
    if depth < NESTING_MAX:
        if isinstance(value, Mapping):
            children = [(f"{path}.{key}", child) for key, child in value.items()]
        elif isinstance(value, list | tuple | Set):
            children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            children = [(f"{path}.{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value)]
        elif isinstance(value, msgspec.Struct):
            children = [(f"{path}.{name}", getattr(value, name)) for name in value.__struct_fields__]
        elif isinstance(fields := getattr(type(value), "model_fields", None), dict):  # pydantic
            children = [(f"{path}.{name}", getattr(value, name)) for name in fields]
    for where, child in children:
        try:
            _ENCODER.encode(child)
        except Exception:
            return _find_unencodable(where, child, depth + 1)
    return path, value


def _bad(path: str, why: str) -> PeerError:
    return PeerError(ErrorCode.BAD_EVENT, f"{path} {why}.", path=path)


def _missing_or(value: object, wanted: str) -> str:
    return f"is missing; it must be {wanted}" if value is None else f"must be {wanted}"
