"""Which trace ids are taken from a request, and where they can be read."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from tidings.observe.trace import SCOPE_KEY, TraceMiddleware, current_trace_id, new_trace_id, parse_traceparent

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
GOOD = f"00-{TRACE_ID}-{PARENT_ID}-01"


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (GOOD, True),
        (f"00-{TRACE_ID}-{PARENT_ID}-00", True),
        (f" {GOOD}\t", True),
        (f"01-{TRACE_ID}-{PARENT_ID}-01", True),
        (f"01-{TRACE_ID}-{PARENT_ID}-01-what-comes-later", True),
        (f"{GOOD}-more", False),
        (f"{GOOD}-", False),
        (f"ff-{TRACE_ID}-{PARENT_ID}-01", False),
        (f"0-{TRACE_ID}-{PARENT_ID}-01", False),
        (f"00-{TRACE_ID.upper()}-{PARENT_ID}-01", False),
        (f"00-{TRACE_ID[:-1]}-{PARENT_ID}-01", False),
        (f"00-{TRACE_ID}0-{PARENT_ID}-01", False),
        (f"00-{'0' * 32}-{PARENT_ID}-01", False),
        (f"00-{TRACE_ID}-{'0' * 16}-01", False),
        (f"00-{TRACE_ID}-{PARENT_ID[:-1]}g-01", False),
        (f"00-{TRACE_ID}-{PARENT_ID}-1", False),
        (f"00-{TRACE_ID}-{PARENT_ID}-0x", False),
        (f"00-{TRACE_ID}-{PARENT_ID}", False),
        (TRACE_ID, False),
        ("", False),
        ("-" * 60_000, False),
        (f"00-{TRACE_ID[:-1]}\n-{PARENT_ID}-01", False),
    ],
)
def test_parse_traceparent(value: str, taken: bool) -> None:
    assert parse_traceparent(value.encode()) == (TRACE_ID if taken else None)


def test_a_new_trace_id_is_one() -> None:
    made = new_trace_id()
    assert parse_traceparent(f"00-{made}-{PARENT_ID}-01".encode()) == made != new_trace_id()


async def seen_in(scope: dict[str, Any]) -> tuple[str | None, str | None]:
    seen: list[tuple[str | None, str | None]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((current_trace_id(), scope.get(SCOPE_KEY)))

    async def nothing(*_: Any) -> Any:
        return None

    await TraceMiddleware(app)(scope, nothing, nothing)
    assert current_trace_id() is None, "the trace outlived its request"
    return seen[0]


def http(*values: str) -> dict[str, Any]:
    return {"type": "http", "headers": [(b"traceparent", value.encode()) for value in values]}


async def test_the_middleware_keeps_the_requests_trace() -> None:
    assert await seen_in(http(GOOD)) == (TRACE_ID, TRACE_ID)


@pytest.mark.parametrize(
    "scope", [http(), http("nonsense"), http(GOOD, GOOD), http(GOOD) | {"type": "websocket"}, {"type": "lifespan"}]
)
async def test_no_trace(scope: dict[str, Any]) -> None:
    assert await seen_in(scope) == (None, None)


def test_the_span_of_opentelemetry_where_there_is_one() -> None:
    span = NonRecordingSpan(SpanContext(int(TRACE_ID, 16), int(PARENT_ID, 16), is_remote=False))
    assert current_trace_id() is None
    with use_span(span):
        assert current_trace_id() == TRACE_ID
