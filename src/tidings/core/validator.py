"""Everything that is wrong with an event, and everything that is unusual (R5): what ``tidings validate`` says.

Publishing stops at the first fault (:func:`tidings.core.events.draft_from`); this finds all of them, each with
a hint. Its twins are ``js/src/core/event.ts`` and ``js/src/validate.ts``, which say the same, word for word;
``spec/vectors/events.json`` holds all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidings.core.codes import ErrorCode
from tidings.core.events import VERSION_MAX, is_timestamp
from tidings.core.fault import Fault, kind_of, shown
from tidings.core.json_text import JsonFault, read_json
from tidings.core.limits import (
    ENTITY_ID_LENGTH_MAX,
    EVENT_NAME_LENGTH_MAX,
    IDEMPOTENCY_KEY_LENGTH_MAX,
    TOPIC_LENGTH_MAX,
    TRACE_ID_LENGTH_MAX,
    Limits,
)
from tidings.core.topics import escape_identifier, is_topic

PAYLOAD_BYTES_MAX = Limits().payload_bytes
PAYLOAD_BYTES_GOOD = 10_240  # R3: above this a partial object or a reference serves better

WARNINGS = (
    "unusual_event",
    "no_payload",
    "large_payload",
    "no_timestamp",
    "not_utc",
    "dropped_field",
    "unknown_field",
)

_DATA_FIELDS = ("entity_id", "payload", "user_id", "tenant_id", "timestamp")
_TOP_FIELDS = ("topic", "event", "data", "trace_id", "version", "idempotency_key")
_DROPPED = {"type": "an event carries no type", "cursor": "the server gives each event its cursor"}
_EXAMPLE = '{"topic": "gift-list:123", "event": "UPDATED", "data": {"entity_id": "gift-7"}}'
_TIME_EXAMPLE = '"2026-11-23T15:00:00.000Z"'

_TYPE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_EVENT_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TIME_SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?")
_UTC = re.compile(r"(?:Z|[+-]00:00)\Z")


@dataclass(frozen=True, slots=True)
class Understood:
    """What the event says, as far as it can be read."""

    topic: str | None = None
    event: str | None = None
    entity_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in one event. ``line`` is its line in NDJSON, counted from 1."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...] = ()
    understood: Understood | None = None
    line: int | None = None

    @property
    def valid(self) -> bool:
        """Whether the server will take it; warnings do not count."""
        return not self.errors


def validate_bytes(content: bytes, *, by_line: bool = False) -> list[Report]:
    """Validate one event, or one a line (NDJSON): where ``by_line`` says so, or the text looks so."""
    try:
        return validate_text(content.decode(), by_line=by_line)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [Report((Fault(ErrorCode.BAD_JSON, "", f"is not UTF-8, at line {line}", "save it as UTF-8"),))]


def validate_text(text: str, *, by_line: bool = False) -> list[Report]:
    """The same for text."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip(" \t\r")]
    if not by_line or not lines:
        report = _validate_one(text, None)
        if report.understood is not None or sum(line.startswith("{") for _, line in lines) < 2:
            return [report]
    return [_validate_one(line, number) for number, line in lines]


def validate_event(value: Any, payload_bytes: int | None = None, line: int | None = None) -> Report:
    """Validate a JSON value. ``payload_bytes`` is the payload's size as compact JSON, where it is known."""
    errors = list(check_event(value))
    if not isinstance(value, dict):
        return Report(tuple(errors), line=line)
    data = value.get("data")
    warnings = [*_warn_of_event(value.get("event")), *_warn_of_data(data)]
    for fault in _check_size(payload_bytes):
        (errors if fault.code == ErrorCode.PAYLOAD_TOO_LARGE else warnings).append(fault)
    warnings += _warn_of_fields(value, data if isinstance(data, dict) else {})
    wrong = {fault.path for fault in errors}

    def good(path: str, fields: Any, name: str) -> str | None:
        return fields[name] if isinstance(fields, dict) and name in fields and path not in wrong else None

    understood = Understood(
        good("topic", value, "topic"), good("event", value, "event"), good("data.entity_id", data, "entity_id")
    )
    warnings.sort(key=lambda fault: WARNINGS.index(fault.code))
    return Report(tuple(errors), tuple(warnings), understood, line)


def check_event(value: Any) -> Iterator[Fault]:
    """Everything for which the server would refuse the event, but for the payload's size."""
    if not isinstance(value, dict):
        yield _bad("", f"must be an object, and is {kind_of(value)}", f"write {_EXAMPLE}")
        return
    topic = value.get("topic")
    if isinstance(topic, str):
        yield from _check_topic(topic)
    else:
        yield _wanted("topic", topic, "a string", 'add "topic": "gift-list:123"')
    yield from _text("event", value.get("event"), EVENT_NAME_LENGTH_MAX, 'add "event": "UPDATED"')
    yield from _check_data(value.get("data"))
    yield from _optional_text("trace_id", value.get("trace_id"), TRACE_ID_LENGTH_MAX)
    yield from _check_version(value.get("version"))
    yield from _optional_text("idempotency_key", value.get("idempotency_key"), IDEMPOTENCY_KEY_LENGTH_MAX)


def _validate_one(text: str, line: int | None) -> Report:
    try:
        value, payload_bytes = read_json(text)
    except JsonFault as found:
        return Report((found.fault,), line=line)
    return validate_event(value, payload_bytes, line)


# Errors.


def _check_topic(topic: str) -> Iterator[Fault]:
    if not is_topic(topic):
        yield Fault(ErrorCode.BAD_TOPIC, "topic", *_topic_fault(topic))


def _topic_fault(topic: str) -> tuple[str, str]:
    """The message and the hint for a topic that is none."""
    if len(topic) > TOPIC_LENGTH_MAX:
        return f"has {len(topic)} characters, and {TOPIC_LENGTH_MAX} is the limit", "shorten the identifier"
    type_, *segments = topic.split(":")
    if not segments:
        example = type_ if _TYPE.fullmatch(type_) else "gift-list"
        return f"is {shown(topic)}, without a colon", f'write resource-type:identifier, such as "{example}:123"'
    if not _TYPE.fullmatch(type_):
        return (
            f"has the resource type {shown(type_)}",
            "use 1 to 64 lower-case letters, digits and hyphens before the first colon, and no hyphen first",
        )
    if "" in segments:
        return f"is {shown(topic)}, with nothing after a colon", "give every part at least one character"
    if "*" in segments:
        return f"is {shown(topic)}, a wildcard", "publish to one topic; only subscriptions may name type:*"
    wrong = next(c for c in "".join(segments) if c != "~" and escape_identifier(c) != c)
    escaped = f"write it as {escape_identifier(wrong)}, the bytes of its UTF-8 in upper-case hex"
    stray = "take it away, or " if wrong <= " " else ""
    return f"holds {shown(wrong)}, which an identifier cannot", f"{stray}{escaped}"


def _check_data(data: Any) -> Iterator[Fault]:
    if not isinstance(data, dict):
        yield _wanted("data", data, "an object", 'add "data": {"entity_id": "gift-7", "payload": {}}')
        return
    yield from _text("data.entity_id", data.get("entity_id"), ENTITY_ID_LENGTH_MAX, 'add "entity_id": "gift-7"')
    yield from _optional_text("data.user_id", data.get("user_id"), None)
    yield from _optional_text("data.tenant_id", data.get("tenant_id"), None)
    yield from _check_time(data.get("timestamp"))


def _check_time(time: Any) -> Iterator[Fault]:
    path = "data.timestamp"
    if time is None or (isinstance(time, str) and is_timestamp(time)):
        return
    if not isinstance(time, str):
        yield _wanted(path, time, "a string", f"write {_TIME_EXAMPLE}")
        return
    shape = _TIME_SHAPE.match(time)
    if shape is None:
        yield _bad(path, f"is {shown(time)}, which is no time", f"write it as ISO 8601: {_TIME_EXAMPLE}")
    elif shape[0] == time:
        yield _bad(path, f"is {shown(time)}, without a time zone", "add Z at the end if it is in UTC")
    else:
        hint = f"check the day, the clock and the zone: {_TIME_EXAMPLE}"
        yield _bad(path, f"is {shown(time)}, no whole time that the calendar has", hint)


def _check_version(version: Any) -> Iterator[Fault]:
    hint = "write the version of the payload's schema as a whole number of 1 or more, without quotes"
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int | float):
        yield _wanted("version", version, "a whole number", hint)
    elif version % 1 != 0 or not 1 <= version <= VERSION_MAX:
        yield _bad("version", f"must be a whole number from 1 to {VERSION_MAX}", hint)


def _check_size(payload_bytes: int | None) -> Iterator[Fault]:
    if payload_bytes is None or payload_bytes <= PAYLOAD_BYTES_GOOD:
        return
    too_large = payload_bytes > PAYLOAD_BYTES_MAX
    bound = f"{PAYLOAD_BYTES_MAX:,} is the limit" if too_large else f"{PAYLOAD_BYTES_GOOD:,} is a good size"
    yield Fault(
        ErrorCode.PAYLOAD_TOO_LARGE if too_large else "large_payload",
        "data.payload",
        f"has {payload_bytes:,} bytes, and {bound}",
        "send what changed, or null: the client fetches the entity",
    )


def _text(path: str, value: Any, most: int, hint: str) -> Iterator[Fault]:
    if not isinstance(value, str):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        yield _wanted(path, value, "a string", "put it in double quotes" if number else hint)
    else:
        yield from _check_length(path, value, most)


def _optional_text(path: str, value: Any, most: int | None) -> Iterator[Fault]:
    if value is None:
        return
    if not isinstance(value, str):
        yield _wanted(path, value, "a string", "put it in double quotes, or leave it out")
    elif most is not None:
        yield from _check_length(path, value, most)


def _check_length(path: str, value: str, most: int) -> Iterator[Fault]:
    if value == "":
        yield _bad(path, "is empty", "give it at least one character")
    elif len(value) > most:
        yield _bad(path, f"has {len(value)} characters, and {most} is the limit", "shorten it")


def _wanted(path: str, value: Any, kind: str, hint: str) -> Fault:
    return _bad(path, "is missing" if value is None else f"must be {kind}, and is {kind_of(value)}", hint)


def _bad(path: str, message: str, hint: str) -> Fault:
    return Fault(ErrorCode.BAD_EVENT, path, message, hint)


# Warnings.


def _warn_of_event(name: Any) -> Iterator[Fault]:
    if not isinstance(name, str) or name == "" or _EVENT_NAME.fullmatch(name):
        return
    better = re.sub(r"[^A-Z0-9]+", "_", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).upper()).strip("_")
    fits = name.isascii() and _EVENT_NAME.fullmatch(better)
    hint = f'write "{better}"' if fits else 'use upper case with underscores, such as "UPDATED"'
    yield Fault("unusual_event", "event", f"is {shown(name)}, an unusual name", hint)


def _warn_of_data(data: Any) -> Iterator[Fault]:
    if not isinstance(data, dict):
        return
    if "payload" not in data:
        yield Fault("no_payload", "data.payload", "is missing", "add it, or write null: the client fetches the entity")
    time = data.get("timestamp")
    if time is None:
        hint = "add it, or leave it to the server, which adds the time of publishing"
        yield Fault("no_timestamp", "data.timestamp", "is missing", hint)
    elif isinstance(time, str) and is_timestamp(time) and not _UTC.search(time):
        yield Fault("not_utc", "data.timestamp", f"is {shown(time)}, not in UTC", "convert it, and end it with Z")


def _warn_of_fields(value: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Fault]:
    for name, why in _DROPPED.items():
        if name in value:
            yield Fault("dropped_field", name, f"is dropped: {why}", "leave it out")
    for name in _by_utf16(data):
        if name not in _DATA_FIELDS:
            hint = _hint_for(name, _DATA_FIELDS, _TOP_FIELDS, "move it out of data, as") or "move it into the payload"
            yield Fault("unknown_field", _path("data", name), "is no field of data, though it is passed on", hint)
    for name in _by_utf16(value):
        if name not in _TOP_FIELDS and name not in _DROPPED:
            hint = _hint_for(name, _TOP_FIELDS, _DATA_FIELDS, "move it into data, as") or "move it into the payload"
            yield Fault("unknown_field", _path("", name), "is no field of an event, and is dropped", hint)


def _hint_for(name: str, fields: tuple[str, ...], elsewhere: tuple[str, ...], move: str) -> str | None:
    """What was meant, if it is a known field in another spelling or at another place."""
    bare = re.sub(r"[^A-Za-z0-9]", "", name).lower()
    for field in fields:
        if field.replace("_", "") == bare:
            return f'write "{field}"'
    for field in elsewhere:
        if field.replace("_", "") == bare:
            return f'{move} "{field}"'
    return None


def _by_utf16(fields: Mapping[str, Any]) -> list[str]:
    """The names in JavaScript's order, so that both validators say the same."""
    return sorted(fields, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def _path(parent: str, name: str) -> str:
    if not _FIELD_NAME.fullmatch(name):
        return f"{parent}[{shown(name)}]"
    return f"{parent}.{name}" if parent else name
