"""What a log line may hold: no secret, no control character, always one line, and its trace."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tidings.auth import mint_token
from tidings.observe import configure_logging, redact_uvicorn, redacted
from tidings.observe.logs import RedactFilter, escaped
from tidings.observe.trace import TraceMiddleware

TOKEN = mint_token("0123456789abcdef0123456789abcdef", user="u-1", now=datetime.now(UTC))
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
NAMES = ("tidings", "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    before = {
        n: (logging.getLogger(n).handlers[:], logging.getLogger(n).propagate, logging.getLogger(n).level) for n in NAMES
    }
    yield io.StringIO()
    for name, (handlers, propagate, level) in before.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /realtime/ws?token={TOKEN} HTTP/1.1", "GET /realtime/ws?token=[redacted] HTTP/1.1"),
        (f"/realtime/ws?token={TOKEN}&x=1", "/realtime/ws?token=[redacted]&x=1"),
        ("/realtime/ws?token=opaque&access_token=other", "/realtime/ws?token=[redacted]&access_token=[redacted]"),
        ("/realtime/ws?token=", "/realtime/ws?token="),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer [redacted]"),
        ("'Bearer my-api-key'", "'Bearer [redacted]'"),
        (f"{{'t': '{TOKEN}'}}", "{'t': '[redacted]'}"),
        ("/realtime/ws?token=[redacted]", "/realtime/ws?token=[redacted]"),
        ("heyJude, topic gift-list:1", "heyJude, topic gift-list:1"),
        ("eyJ", "eyJ"),
        ("", ""),
    ],
)
def test_redacted(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gift-list:1 ü", "gift-list:1 ü"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\u202eevil", "\\u202eevil"),
        ("\x85\u2028", "\\x85\\u2028"),
    ],
)
def test_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_hostile_line_stays_one_line_without_the_token(log_format: str, log: io.StringIO) -> None:
    configure_logging(log_format, "info", log)
    logger = logging.getLogger("tidings.test")
    logger.info("topic %s, token=%s", "a\r\nFAKE \x1b[31m", TOKEN, extra={"tenant": "t\n1"})
    try:
        raise ValueError(f"bad Bearer {TOKEN}\n2026 FAKE line")
    except ValueError:
        logger.exception("it failed")
    lines = log.getvalue().splitlines()
    records = [line for line in lines if not line.startswith("    ")]
    assert len(records) == 2, "something in a record passes for another one"
    assert (len(lines) == 2) == (log_format == "json")
    assert TOKEN[:20] not in log.getvalue() and TOKEN[-20:] not in log.getvalue() and "\x1b" not in log.getvalue()
    assert "ValueError: bad Bearer [redacted]" in log.getvalue()
    if log_format == "json":
        assert json.loads(lines[0])["message"] == "topic a\\r\\nFAKE \\x1b[31m, token=[redacted]"
        assert json.loads(lines[0])["tenant"] == "t\\n1"
    else:
        assert lines[0].endswith("tidings.test: topic a\\r\\nFAKE \\x1b[31m, token=[redacted] tenant=t\\n1")


def test_uvicorns_access_log_holds_no_token(log: io.StringIO) -> None:
    configure_logging("text", "info", log)
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", f"/realtime/ws?token={TOKEN}", "1.1", 101)
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "1.2.3.4", f"/realtime/ws?token={TOKEN}")
    lines = log.getvalue().splitlines()
    assert len(lines) == 2, "a line came twice or not at all"
    assert all("/realtime/ws?token=[redacted]" in line for line in lines)


def test_uvicorns_own_log_can_be_kept_clean(log: io.StringIO) -> None:
    redact_uvicorn()
    redact_uvicorn()
    logger = logging.getLogger("uvicorn.access")
    assert sum(isinstance(one, RedactFilter) for one in logger.filters) == 1
    handler = logging.StreamHandler(log)
    logger.addHandler(handler)
    try:
        logger.warning("%s - %d%%", f"/realtime/ws?token={TOKEN}", 101)
        logger.warning(f"100% /realtime/ws?token={TOKEN}")
    finally:
        logger.removeHandler(handler)
        logger.filters.clear()
        logging.getLogger("uvicorn.error").filters.clear()
    clean = "/realtime/ws?token=[redacted]"
    assert log.getvalue().splitlines() == [f"{clean} - 101%", f"100% {clean}"]


def test_the_level_holds(log: io.StringIO) -> None:
    configure_logging("text", "warning", log)
    logging.getLogger("tidings.test").info("quiet")
    assert log.getvalue() == ""


async def test_the_line_of_a_request_carries_its_trace(log: io.StringIO) -> None:
    configure_logging("json", "info", log)

    async def app(*_: object) -> None:
        logging.getLogger("tidings.test").info("inside")
        logging.getLogger("tidings.test").info("of an event", extra={"trace_id": "its-own"})

    async def nothing(*_: object) -> Any:
        return None

    scope = {"type": "http", "headers": [(b"traceparent", f"00-{TRACE_ID}-00f067aa0ba902b7-01".encode())]}
    await TraceMiddleware(app)(scope, nothing, nothing)
    logging.getLogger("tidings.test").info("outside")
    inside, of_an_event, outside = map(json.loads, log.getvalue().splitlines())
    assert (inside["trace_id"], of_an_event["trace_id"]) == (TRACE_ID, "its-own")
    assert "trace_id" not in outside
