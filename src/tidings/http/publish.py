"""``POST publish``: one event, an array of them, or NDJSON, one a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from secrets import token_hex
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.events import Draft, Exclude, Outgoing, draft_from, encode_body
from tidings.core.limits import IDEMPOTENCY_KEY_LENGTH_MAX
from tidings.http.answers import json_answer
from tidings.http.body import JSON, NDJSON, decode, media_type, read_body
from tidings.http.keys import Caller
from tidings.http.surface import Surface

TRACE_SCOPE_KEY = "tidings.trace_id"  # where the trace middleware leaves the request's trace id
_EXCLUDED_LENGTH_MAX = 256


async def publish(request: Request, surface: Surface) -> Response:
    """Store the events in their order and answer where: ``{"published": [{"topic", "cursor"}]}``.

    All are checked before the first is stored: one bad, none published. Raises PeerError, naming which.
    """
    caller = surface.keys.caller(request.headers.get("authorization"))
    kind = media_type(request, JSON, NDJSON)
    body = await read_body(request, surface.settings.limits.body_bytes)
    submissions = _submissions(body, kind, caller, surface)
    trace_id = request.scope.get(TRACE_SCOPE_KEY) or token_hex(16)
    events = [_traced(event, trace_id) for event in submissions]
    cursors = await surface.backend.publish_all(events)
    published = [
        {"topic": event.draft.topic, "cursor": str(cursor)} for event, cursor in zip(events, cursors, strict=True)
    ]
    return json_answer({"published": published})


def _traced(event: Outgoing, trace_id: str) -> Outgoing:
    if event.draft.trace_id is not None:
        return event
    return event._replace(draft=msgspec.structs.replace(event.draft, trace_id=trace_id))


def _submissions(body: bytes, kind: str, caller: Caller, surface: Surface) -> Sequence[Outgoing]:
    value = None if kind == NDJSON else decode(body)
    if kind == JSON and not isinstance(value, list):
        return [_submission(value, caller)]
    events = _lines(body) if kind == NDJSON else enumerate(value or ())
    submissions: list[Outgoing] = []
    for index, (number, event) in enumerate(events):
        try:
            submission = _submission(decode(event, "It") if isinstance(event, bytes) else event, caller)
            # What the publisher would refuse is refused here, before the first is stored.
            _check_whole(submission.draft, surface)
        except PeerError as fault:
            where = f"Line {number}" if kind == NDJSON else f"Event {number} of the array, counted from 0"
            path = f"[{index}]" if fault.path is None else f"[{index}].{fault.path}"
            raise PeerError(fault.code, f"{where}: {fault.message}", topic=fault.topic, path=path) from None
        submissions.append(submission)
    return submissions


def _check_whole(draft: Draft, surface: Surface) -> None:
    unknown = surface.catalog.unknown(draft.topic)
    if unknown is not None:
        raise unknown
    encode_body(draft, surface.settings.limits)


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, each with its number from 1."""
    return ((number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip())


def _submission(value: Any, caller: Caller) -> Outgoing:
    if not isinstance(value, dict):
        raise PeerError(ErrorCode.BAD_EVENT, "An event must be a JSON object.")
    draft = draft_from(value)
    key = value.get("idempotency_key")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX):
        raise PeerError(
            ErrorCode.BAD_EVENT,
            f"idempotency_key must be a string of 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters.",
            path="idempotency_key",
        )
    tenant = caller.acts_for(draft.data.get("tenant_id"), "data.tenant_id")
    return Outgoing(draft, tenant, _exclude(value.get("exclude")), key)


def _exclude(value: Any) -> Exclude | None:
    if value is None:
        return None
    good = isinstance(value, dict) and value and set(value) <= {"user", "session"}
    if not good or not all(isinstance(v, str) and 0 < len(v) <= _EXCLUDED_LENGTH_MAX for v in value.values()):
        raise PeerError(
            ErrorCode.BAD_EVENT, 'exclude must be {"user": "u-1"}, {"session": "..."} or both.', path="exclude"
        )
    return Exclude(**value)
