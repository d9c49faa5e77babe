"""The client beside the application's own HTTP: the cursors of a response, and the trace of a request."""

from __future__ import annotations

import re
from email.message import Message
from types import SimpleNamespace

import httpx
import pytest

from tidings.client import connect
from tidings.client.responses import new_mutation, parse_cursors


@pytest.mark.parametrize(
    ("header", "cursors"),
    [
        (None, {}),
        ("", {}),
        ("gift-list:1=k3f9-41", {"gift-list:1": "k3f9-41"}),
        (" gift-list:1=k-1 , user:2=n-0,", {"gift-list:1": "k-1", "user:2": "n-0"}),
        ("gift-list:1=rubbish, user:2=k-1, =k-2, k-3", {"user:2": "k-1"}),
        ("gift-list:1=k-9223372036854775808", {}),
    ],
)
def test_cursors(header: str | None, cursors: dict[str, str]) -> None:
    assert parse_cursors(header) == cursors


def test_responses_of_any_library() -> None:
    live = connect("http://127.0.0.1:1")
    header = {"tidings-cursor": "gift-list:1=k-1"}
    message = Message()
    message["Tidings-Cursor"] = "gift-list:1=k-1"
    for response in (httpx.Response(200, headers=header), SimpleNamespace(headers=message)):
        assert live.note(response) == {"gift-list:1": "k-1"}
    assert live.note(httpx.Response(200)) == {}


def test_a_trace_is_new_each_time() -> None:
    one, other = new_mutation(), new_mutation()
    assert one.trace_id != other.trace_id
    assert re.fullmatch(rf"00-{one.trace_id}-[0-9a-f]{{16}}-01", one.headers["traceparent"])
