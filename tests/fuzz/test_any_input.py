"""One sentence: whatever comes, the answer is a value or a PeerError, never another exception (C8)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tidings.core import effects as e
from tidings.core import inputs as i
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.events import draft_from, encode_body, nests_too_deep
from tidings.core.frames import ServerFrame, decode_client_frame, decode_server_frame
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.session import Session
from tidings.core.topics import TopicKey, escape_identifier, is_topic, user_topic

LIMITS = Limits().without_rates()
ANYTHING = st.one_of(st.binary(max_size=200), st.text(max_size=200))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
FIELDS = ["type", "topics", "since", "id", "token", "topic", "event", "data", "idempotency_key", "version", "trace_id"]
TYPES = ["subscribe", "unsubscribe", "ping", "auth", "publish"]
NEARLY = st.builds(
    lambda kind, fields: json.dumps({"type": kind, **fields}),
    st.one_of(st.sampled_from(TYPES), VALUES),
    st.dictionaries(st.sampled_from(FIELDS[1:]), VALUES, max_size=5),
)


def ignore(framed: Framed) -> None:
    """A way out that leads nowhere."""


@settings(max_examples=500, deadline=None)
@given(st.one_of(ANYTHING, NEARLY))
def test_frames(text: str | bytes) -> None:
    with contextlib.suppress(PeerError):
        decode_client_frame(text)
    with contextlib.suppress(ValueError):
        decode_server_frame(text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(ANYTHING, NEARLY), max_size=6))
def test_a_session_answers_everything_with_frames_that_can_be_sent(texts: list[str | bytes]) -> None:
    session = Session("s-1", LIMITS, ignore, 0.0)
    session.handle(i.Opened("jwt"), 0.0)
    session.handle(i.Authenticated(Identity(user="ana"), "now", None), 0.0)
    for text in texts:
        for effect in session.handle(i.FrameReceived(text), 1.0):
            if isinstance(effect, e.Send):
                json.loads(effect.frame.encode())
                assert isinstance(effect.frame, ServerFrame)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_events(value: Any) -> None:
    event = {"topic": "a:b", "event": "X", "data": {"entity_id": "1", "payload": value}}
    with contextlib.suppress(PeerError):
        body = encode_body(draft_from(event), LIMITS)
        assert b"\n" not in body, "a newline would break an SSE record"
        assert json.loads(body)["topic"] == "a:b"
    if isinstance(value, dict):
        with contextlib.suppress(PeerError):
            draft_from(value)


@given(st.text(max_size=40))
def test_cursors(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert str(Cursor.parse(text)) == text


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_two_users_share_a_topic(one: str, other: str) -> None:
    with contextlib.suppress(ValueError):
        assert is_topic(user_topic(one))
    encodable = not any(0xD800 <= ord(char) <= 0xDFFF for char in one + other)
    if encodable:
        assert (escape_identifier(one) == escape_identifier(other)) == (one == other)


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_keys_of_tenants_never_collide(a: str, b: str, c: str, d: str) -> None:
    assert (TopicKey(a, b) == TopicKey(c, d)) == ((a, b) == (c, d))
    assert TopicKey(None, b) != TopicKey("", b)


@given(st.integers(0, 80), st.sampled_from(["[", '{"a":']))
def test_depth_is_counted_outside_of_strings(depth: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = (opening * depth + "1" + closing * depth).encode()
    assert nests_too_deep(text) is (depth > 32)
    assert not nests_too_deep(json.dumps(["[" * 100 + '\\"']).encode())
