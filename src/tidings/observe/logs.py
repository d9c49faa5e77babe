"""Log lines: ``key=value`` text or JSON, one line each, without secrets, with the trace where there is one.

A log line may hold what a stranger wrote (a topic, a header), so control characters are escaped (C15), and
tokens are cut out wherever they stand: query strings, headers, and tokens by their shape.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from tidings.observe.trace import current_trace_id

REDACTED = "[redacted]"
_MARKS = ("token=", "api_key=", "ticket=", "Bearer ", "bearer ")  # what follows them is secret
_TOKEN_START = "eyJ"  # the base64 of '{"', with which every JSON Web Token begins
_TOKEN_LENGTH_MIN = 20  # below that it is a word
_TOKEN_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.=")
_VALUE_ENDS = frozenset(" \t\r\n\"'&#,;)}>")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def redacted(text: str) -> str:
    """The text with the values of secret query parameters, bearer headers and JSON Web Tokens cut out."""
    for mark in _MARKS:
        text = _cut_after(text, mark)
    return _cut_tokens(text) if _TOKEN_START in text else text


def escaped(text: str) -> str:
    """The text with everything that could move a cursor, end a line or hide itself written as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class RedactFilter(logging.Filter):
    """Cuts secrets out of records that another library writes, and perhaps formats."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record's text; keep every record."""
        if isinstance(record.args, tuple) and record.args:
            record.args = tuple(redacted(arg) if isinstance(arg, str) else arg for arg in record.args)
        elif isinstance(record.msg, str) and not record.args:
            record.msg = redacted(record.msg)  # with arguments it is a pattern, which must stay whole
        return True


def redact_uvicorn() -> None:
    """Keep ``?token=`` out of uvicorn's own log, however it is configured. Doing it twice is doing it once."""
    for name in ("uvicorn.access", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, RedactFilter) for one in logger.filters):
            logger.addFilter(RedactFilter())


class LineFormatter(logging.Formatter):
    """One record, one line: time, level, logger, message, then the fields given by ``extra=``.

    :param as_json: one JSON object instead of text. In text a traceback follows, each line indented, so that
        nothing in it can pass for a record.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The text; no character of the record's own ends a line."""
        fields = self._fields(record)
        trace = redacted(self.formatException(record.exc_info)) if record.exc_info else ""
        if self._as_json:
            if trace:
                fields["exception"] = trace
            return json.dumps(fields, ensure_ascii=False, default=str)
        head = f"{fields.pop('time')} {fields.pop('level'):<7} {fields.pop('logger')}: {fields.pop('message')}"
        line = " ".join([head, *(f"{name}={_value(value)}" for name, value in fields.items())])
        return "\n    ".join([line, *map(escaped, trace.splitlines())])

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        when = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": escaped(redacted(record.getMessage())),
        }
        given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        trace_id = given.pop("trace_id", None) or current_trace_id()
        if trace_id is not None:
            given["trace_id"] = trace_id
        for name, value in given.items():
            fields[name] = escaped(redacted(value)) if isinstance(value, str) else value
        return fields


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send our log and uvicorn's to one stream (stderr) in one format. For the commands; a library never does it."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(as_json=log_format == "json"))
    for name in ("tidings", "uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name in ("uvicorn.error", "uvicorn.access")
        logger.setLevel(level.upper())
        if not logger.propagate:
            logger.addHandler(handler)


def _cut_after(text: str, mark: str) -> str:
    """Replace what follows each mark, to the end of the value. Linear, without a regular expression (C12)."""
    first, *parts = text.split(mark)
    for part in parts:
        end = next((place for place, char in enumerate(part) if char in _VALUE_ENDS), len(part))
        first += mark + (REDACTED if end else "") + part[end:]
    return first


def _cut_tokens(text: str) -> str:
    """Replace JSON Web Tokens, known by their shape."""
    kept, *parts = text.split(_TOKEN_START)
    for part in parts:
        end = next((place for place, char in enumerate(part) if char not in _TOKEN_CHARACTERS), len(part))
        if end >= _TOKEN_LENGTH_MIN and "." in part[:end]:
            kept += REDACTED + part[end:]
        else:
            kept += _TOKEN_START + part
    return kept.replace(REDACTED + REDACTED, REDACTED)  # header and claims begin alike


def _value(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text or "=" in text else text
