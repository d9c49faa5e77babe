"""The core is held to spec/vectors, and so is the schema."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tidings.client.machine.cursors import compare
from tidings.core import frames, inputs
from tidings.core.cursor import Cursor
from tidings.core.effects import Close, Effect, Send, Store
from tidings.core.errors import PeerError
from tidings.core.events import draft_from, encode_body, nests_too_deep, splice_cursor
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.session import Session
from tidings.core.topics import check_topic, is_topic, is_wildcard, topic_type, user_topic

SPEC = Path(__file__).resolve().parents[3] / "spec"
Vector = dict[str, Any]


def load(name: str) -> dict[str, list[Vector]]:
    lists: dict[str, list[Vector]] = json.loads((SPEC / "vectors" / f"{name}.json").read_text(encoding="utf-8"))
    return lists


TOPICS, CURSORS, USERS, SPLICES = load("topics"), load("cursors"), load("users"), load("splices")
EVENTS, CLIENT, SERVER = load("events"), load("client_frames"), load("server_frames")


def vectors(*lists: list[Vector]) -> pytest.MarkDecorator:
    """A parametrization by what names each vector best, shortened."""
    rows = [row for rows in lists for row in rows]
    names = [str(row.get("name") or row.get("why") or list(row.values())[:2])[:60] for row in rows]
    return pytest.mark.parametrize("vector", rows, ids=names)


def text_of(vector: Vector) -> bytes:
    """The bytes of a vector's input, however it is written down."""
    if "base64" in vector:
        return base64.b64decode(vector["base64"])
    if "parts" in vector:
        return "".join(p if isinstance(p, str) else p[0] * p[1] for p in vector["parts"]).encode()
    if "text" in vector:
        return str(vector["text"]).encode()
    return json.dumps(vector.get("frame", vector.get("event"))).encode()


def schema(file: str, name: str) -> Draft202012Validator:
    """The validator of one definition of one file."""
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SPEC.glob("*.schema.json")}
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(content)) for name, content in files.items()
    )
    return Draft202012Validator({"$ref": f"{file}.schema.json#/$defs/{name}"}, registry=registry)


TOPIC_SCHEMA, WILDCARD_SCHEMA = schema("event", "topic"), schema("event", "wildcard")
CURSOR_SCHEMA, EVENT_SCHEMA = schema("event", "cursor"), schema("event", "published")
CLIENT_SCHEMA, SERVER_SCHEMA = schema("frames", "clientFrame"), schema("frames", "serverFrame")
SUBSCRIBED_SCHEMA = schema("frames", "subscribable")


@pytest.mark.parametrize("path", sorted(SPEC.glob("*.schema.json")), ids=lambda path: path.name)
def test_schema_is_a_schema(path: Path) -> None:
    Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted((SPEC / "vectors").glob("*.json")), ids=lambda path: path.name)
def test_every_file_says_what_it_holds(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))["description"]


# Topics and users.


@vectors(TOPICS["valid"])
def test_topic(vector: Vector) -> None:
    assert is_topic(vector["topic"])
    assert not is_wildcard(vector["topic"])
    assert topic_type(vector["topic"]) == vector["type"]
    assert TOPIC_SCHEMA.is_valid(vector["topic"])


@vectors(TOPICS["invalid"])
def test_no_topic(vector: Vector) -> None:
    assert not is_topic(vector["topic"])
    assert not TOPIC_SCHEMA.is_valid(vector["topic"])
    with pytest.raises(PeerError, match="is not a topic") as raised:
        check_topic(vector["topic"])
    assert raised.value.code == "bad_topic"


@vectors(TOPICS["wildcards"])
def test_wildcard(vector: Vector) -> None:
    assert is_wildcard(vector["topic"]) is vector["valid"]
    assert WILDCARD_SCHEMA.is_valid(vector["topic"]) is vector["valid"]
    assert not is_topic(vector["topic"])


@vectors(USERS["users"])
def test_user_topic(vector: Vector) -> None:
    assert user_topic(vector["user"]) == vector["topic"]
    assert TOPIC_SCHEMA.is_valid(vector["topic"])


# Cursors.


@vectors(CURSORS["valid"])
def test_cursor(vector: Vector) -> None:
    cursor = Cursor.parse(vector["cursor"])
    assert cursor == Cursor(vector["epoch"], int(vector["offset"]))
    assert str(cursor) == vector["cursor"]
    assert CURSOR_SCHEMA.is_valid(vector["cursor"])


@vectors(CURSORS["invalid"])
def test_no_cursor(vector: Vector) -> None:
    assert not CURSOR_SCHEMA.is_valid(vector["cursor"])
    with pytest.raises(ValueError, match="not a cursor"):
        Cursor.parse(vector["cursor"])


@vectors(CURSORS["compare"])
def test_cursors_compare(vector: Vector) -> None:
    a, b = Cursor.parse(vector["a"]), Cursor.parse(vector["b"])
    after = {-1: (False, True), 0: (False, False), 1: (True, False), None: (None, None)}
    assert (a.after(b), b.after(a)) == after[vector["order"]]
    assert compare(vector["a"], vector["b"]) == vector["order"], "the Python client has one rule with the server"


# Events.


def encode(event: Any) -> bytes:
    """What publishing does with an event that came as JSON, before the broker."""
    return encode_body(draft_from(event), Limits())


@vectors(EVENTS["valid"])
def test_event(vector: Vector) -> None:
    event = json.loads(text_of(vector))
    body = json.loads(encode(event))
    assert body["topic"] == event["topic"]
    assert body["data"] == {**event["data"], "payload": event["data"].get("payload")}
    assert set(body) <= {"topic", "event", "data", "trace_id", "version"}
    assert EVENT_SCHEMA.is_valid(event)


@vectors([v for v in EVENTS["invalid"] if "parts" in v or isinstance(v["event"], dict)])
def test_no_event(vector: Vector) -> None:
    text = text_of(vector)
    if text.count(b"[") == 5000:  # json and msgspec raise RecursionError: whoever reads must look first
        assert nests_too_deep(text)
        return
    with pytest.raises(PeerError) as raised:
        encode(json.loads(text))
    assert (raised.value.code, raised.value.path) == (vector["code"], vector["path"])


@vectors([v for v in EVENTS["invalid"] if not v.get("beyond_schema")], EVENTS["publishing"])
def test_schema_refuses_the_event(vector: Vector) -> None:
    assert not EVENT_SCHEMA.is_valid(json.loads(text_of(vector)))


@vectors(SPLICES["splices"])
def test_splice(vector: Vector) -> None:
    frame = splice_cursor(vector["body"].encode(), Cursor.parse(vector["cursor"]))
    assert frame == vector["frame"].encode()
    assert json.loads(frame) == {**json.loads(vector["body"]), "cursor": vector["cursor"]}


# What clients send.


def effects_of(text: bytes) -> list[Effect]:
    """What an open session does with a frame, as bytes and as text alike."""
    effects = open_session().handle(inputs.FrameReceived(text), 0.0)
    try:
        as_text = text.decode()
    except UnicodeDecodeError:
        return effects  # a text frame cannot hold it
    assert kinds(open_session().handle(inputs.FrameReceived(as_text), 0.0)) == kinds(effects)
    return effects


def kinds(effects: list[Effect]) -> list[str]:
    return [type(e.frame).__name__ if isinstance(e, Send) else type(e).__name__ for e in effects]


def open_session() -> Session:
    session = Session("s-1", Limits(), lambda framed: None, 0.0)
    session.handle(inputs.Opened("token"), 0.0)
    session.handle(inputs.Authenticated(Identity(user="u-1"), "2026-11-23T15:00:00.000Z", None), 0.0)
    asked = {"type": "subscribe", "topics": ["gift-list:1", "gift-list:__proto__"]}  # where a vector may be present
    session.handle(inputs.FrameReceived(json.dumps(asked)), 0.0)
    return session


def normal(frame: frames.ClientFrame) -> dict[str, Any]:
    """What the server reads: known fields, without those that are null or empty."""
    fields = msgspec.to_builtins(frame)
    fields.update(fields.pop("draft", {}))
    kind = type(frame).__name__.lower()
    empty_matters = ("topics", "token", "id", "data")
    kept = {k: v for k, v in fields.items() if v is not None and v is not False}
    return {"type": kind} | {k: v for k, v in kept.items() if v != {} or k in empty_matters}


@vectors(CLIENT["valid"])
def test_client_frame(vector: Vector) -> None:
    text = text_of(vector)
    read = normal(frames.decode_client_frame(text))
    assert {k: v for k, v in read.items() if k not in vector.get("normal_without", ())} == vector["normal"]
    assert not [e for e in effects_of(text) if isinstance(e, Send) and isinstance(e.frame, frames.Error)]
    assert CLIENT_SCHEMA.is_valid(json.loads(text))


@vectors(CLIENT["refused"])
def test_refused_client_frame(vector: Vector) -> None:
    effects = effects_of(text_of(vector))
    for store in [e for e in effects if isinstance(e, Store)]:
        with pytest.raises(PeerError) as raised:
            encode_body(store.draft, Limits())
        effects = open_session().handle(inputs.StoreRefused(raised.value, store.frame_id), 0.0)
    sent = [e.frame for e in effects if isinstance(e, Send)]
    assert len(sent) == 1
    error = json.loads(sent[0].encode())
    assert (error["type"], error["code"], error.get("id")) == ("error", vector["code"], vector.get("id"))
    assert SERVER_SCHEMA.is_valid(error)
    assert [e.code for e in effects if isinstance(e, Close)] == [c for c in [vector.get("close")] if c]


@vectors([v for v in CLIENT["refused"] if v["code"] != "bad_json" and not v.get("beyond_schema")])
def test_schema_refuses_the_client_frame(vector: Vector) -> None:
    assert not CLIENT_SCHEMA.is_valid(json.loads(text_of(vector), parse_int=lambda digits: int(digits[:400])))


@vectors(CLIENT["refused_topics"])
def test_refused_topics(vector: Vector) -> None:
    sent = [e.frame for e in effects_of(text_of(vector)) if isinstance(e, Send)]
    errors = [f for f in sent if isinstance(f, frames.Error)]
    assert [{"topic": f.topic, "code": f.code} for f in errors] == vector["refused"]
    assert {f.id for f in errors} == {vector["frame"]["id"]}
    if vector.get("beyond_schema"):
        return
    assert not CLIENT_SCHEMA.is_valid(vector["frame"])
    assert not any(SUBSCRIBED_SCHEMA.is_valid(refused["topic"]) for refused in vector["refused"])


# What servers send.


@vectors(SERVER["valid"])
def test_server_frame(vector: Vector) -> None:
    assert SERVER_SCHEMA.is_valid(vector["frame"])
    read = frames.decode_server_frame(json.dumps(vector["frame"]))
    assert read is not None
    assert without_null(json.loads(msgspec.json.encode(read))) == without_null(vector["frame"])


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(child) for key, child in value.items() if child is not None}
    return value


@vectors(SERVER["invalid"])
def test_schema_refuses_the_server_frame(vector: Vector) -> None:
    assert not SERVER_SCHEMA.is_valid(vector["frame"])


@vectors(SERVER["ignored"])
def test_ignored_server_frame(vector: Vector) -> None:
    assert frames.decode_server_frame(json.dumps(vector["frame"])) is None
