"""What the client adds to the application's own HTTP: the trace of a request, and the cursors of a response."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tidings.core.cursor import Cursor

HEADER = "Tidings-Cursor"


class Headers(Protocol):
    """Of httpx, aiohttp, requests, urllib3 and the standard library alike."""

    def get(self, name: str, /) -> str | None:
        """A header's value; None where it is not there."""
        ...


class Answered(Protocol):
    """A response of any HTTP library."""

    @property
    def headers(self) -> Headers:
        """Its headers, found whatever their case."""
        ...


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change that this program makes: send the headers with the request, and its event comes back with the trace."""

    trace_id: str
    headers: Mapping[str, str]


def new_mutation() -> Mutation:
    """A new W3C trace."""
    trace_id = secrets.token_hex(16)
    return Mutation(trace_id, {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"})


def parse_cursors(header: str | None) -> dict[str, str]:
    """Cursors by topic, from ``topic=cursor, topic=cursor``; what cannot be read is left out."""
    cursors: dict[str, str] = {}
    for part in (header or "").split(","):
        topic, _, cursor = (text.strip() for text in part.rpartition("="))
        if topic and _is_cursor(cursor):
            cursors[topic] = cursor
    return cursors


def _is_cursor(text: str) -> bool:
    try:
        Cursor.parse(text)
    except ValueError:
        return False
    return True
