"""The HTTP surface: what is taken, what is refused with which status and code, and that one bad means none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tidings.auth import JwtAuthenticator
from tidings.brokers.memory import MemoryBroker
from tidings.core.codes import ErrorCode
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude, Outgoing, encode_body
from tidings.core.frames import Member
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.http import routes
from tidings.http.answers import STATUS
from tidings.http.publish import TRACE_SCOPE_KEY
from tidings.observe.trace import SCOPE_KEY, TraceMiddleware
from tidings.ports import Credentials, CredentialSource
from tidings.settings import Settings
from tidings.testing import FakeClock

SECRET = "0123456789abcdef0123456789abcdef"
JSON_TYPE = {"content-type": "application/json"}
NDJSON_TYPE = {"content-type": "application/x-ndjson"}


class FakeServer:
    """A backend on a memory broker; what the publisher adds to an event is not its matter."""

    def __init__(self) -> None:
        self.limits = Limits(payload_bytes=1_000, body_bytes=5_000)
        self.broker = MemoryBroker(self.limits, FakeClock())
        self.disconnected: list[tuple[str | None, str | None, str | None]] = []
        self.is_ready = True
        self.fault: Exception | None = None

    async def publish_all(self, events: Sequence[Outgoing]) -> list[Cursor]:
        if self.fault is not None:
            raise self.fault
        cursors: list[Cursor] = []
        for draft, tenant, exclude, idempotency_key in events:
            key, body = TopicKey(tenant, draft.topic), encode_body(draft, self.limits)
            stored = await self.broker.publish(key, body, exclude=exclude, idempotency_key=idempotency_key)
            cursors.append(stored.cursor)
        return cursors

    async def head(self, key: TopicKey) -> Cursor:
        if self.fault is not None:
            raise self.fault
        return await self.broker.head(key)

    async def present_on(self, key: TopicKey) -> Sequence[Member]:
        return []

    async def disconnect(self, *, user: str | None, tenant: str | None, session: str | None) -> int:
        self.disconnected.append((user, tenant, session))
        return 2

    def ready(self) -> bool:
        return self.is_ready

    async def stored(self, topic: str = "gift-list:1", tenant: str | None = None) -> list[dict[str, Any]]:
        key = TopicKey(tenant, topic)
        head = await self.broker.head(key)
        history = await self.broker.history(key, Cursor(head.epoch, 0), 0)
        return [json.loads(publication.body) for publication in history.publications]


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        secret=SECRET, api_keys=["key", "bound@t-1"], limits=server.limits, allowed_origins=["https://ops.example"],
        audience="tidings", topics=["gift-list", "chat"],
    )  # fmt: skip
    app = Starlette(routes=routes(server, settings, Catalog(settings.topics)))
    app.add_middleware(TraceMiddleware)
    headers = {"authorization": "Bearer key"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://live.example", headers=headers
    ) as one:
        yield one


def event(number: int = 1, **fields: Any) -> dict[str, Any]:
    data = {"entity_id": f"gift-{number}", "payload": {"n": number}} | fields.pop("data", {})
    return {"topic": "gift-list:1", "event": "UPDATED", "data": data} | fields


def error_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.headers["content-type"] == "application/json"
    error: dict[str, str] = answer.json()["error"]
    assert STATUS[ErrorCode(error["code"])] == answer.status_code
    return error


async def test_one_event(client: httpx.AsyncClient, server: FakeServer) -> None:
    answer = await client.post("/realtime/publish", json=event(version=2, trace_id="abc"))
    assert answer.status_code == 200
    head = await server.broker.head(TopicKey(None, "gift-list:1"))
    assert answer.json() == {"published": [{"topic": "gift-list:1", "cursor": str(head)}]}
    (stored,) = await server.stored()
    assert stored["data"]["entity_id"] == "gift-1"
    assert (stored["version"], stored["trace_id"]) == (2, "abc")
    assert answer.headers["cache-control"] == "no-store"


async def test_an_array_and_lines(client: httpx.AsyncClient, server: FakeServer) -> None:
    answer = await client.post("/realtime/publish", json=[event(1), event(2, topic="chat:1")])
    assert [p["topic"] for p in answer.json()["published"]] == ["gift-list:1", "chat:1"]
    lines = "\n".join(["", json.dumps(event(3)), "\r", json.dumps(event(4)), ""])
    answer = await client.post("/realtime/publish", content=lines, headers=NDJSON_TYPE)
    assert [p["cursor"].partition("-")[2] for p in answer.json()["published"]] == ["2", "3"]
    assert [e["data"]["payload"]["n"] for e in await server.stored()] == [1, 3, 4]
    assert (await client.post("/realtime/publish", json=[])).json() == {"published": []}
    assert (await client.post("/realtime/publish", content="", headers=NDJSON_TYPE)).json() == {"published": []}


async def test_a_repeat_answers_the_first_cursor(client: httpx.AsyncClient, server: FakeServer) -> None:
    first = await client.post("/realtime/publish", json=event(idempotency_key="k"))
    again = await client.post("/realtime/publish", json=event(idempotency_key="k"))
    assert first.json() == again.json()
    assert len(await server.stored()) == 1
    assert "idempotency_key" not in (await server.stored())[0]


async def test_exclude_goes_beside_the_event(client: httpx.AsyncClient, server: FakeServer) -> None:
    await client.post("/realtime/publish", json=event(exclude={"user": "u-1", "session": "s-1"}))
    head = await server.broker.head(TopicKey(None, "gift-list:1"))
    (publication,) = (await server.broker.history(TopicKey(None, "gift-list:1"), Cursor(head.epoch, 0), 0)).publications
    assert publication.exclude == Exclude(user="u-1", session="s-1")
    assert b"exclude" not in publication.body


async def test_a_trace_id_is_taken_or_made(client: httpx.AsyncClient, server: FakeServer) -> None:
    assert TRACE_SCOPE_KEY == SCOPE_KEY
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    traced = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    await client.post("/realtime/publish", json=event(), headers=traced)
    await client.post("/realtime/publish", json=event(trace_id="mine"), headers=traced)
    await client.post("/realtime/publish", json=event())
    taken, given, made = [e["trace_id"] for e in await server.stored()]
    assert (taken, given) == (trace_id, "mine")
    assert len(made) == 32 and made != trace_id


GOOD_LINE = json.dumps(event())
LONG = event(data={"payload": "x" * 1_000})
DEEP = json.dumps(event()).replace("1}", "[" * 40 + "]" * 40 + "}")
FOREIGN = event(data={"tenant_id": "t-2"})
BOUND = {**JSON_TYPE, "authorization": "Bearer bound"}
NO_MEDIA = "unsupported_media_type"
BAD: list[tuple[str, dict[str, str], str | bytes, str, str | None]] = [
    # what, headers, body, code, path
    ("no JSON", JSON_TYPE, "{", "bad_json", None),
    ("empty", JSON_TYPE, "", "bad_json", None),
    ("invalid UTF-8", JSON_TYPE, b'{"topic":"\xff"}', "bad_json", None),
    ("5,000 brackets", JSON_TYPE, "[" * 4_900, "bad_json", None),
    ("a number", JSON_TYPE, "1", "bad_event", None),
    ("null", JSON_TYPE, "null", "bad_event", None),
    ("no topic", JSON_TYPE, "{}", "bad_event", "topic"),
    ("no colon", JSON_TYPE, json.dumps(event(topic="gifts")), "bad_topic", "topic"),
    ("a wildcard", JSON_TYPE, json.dumps(event(topic="gift-list:*")), "bad_topic", "topic"),
    ("no entity", JSON_TYPE, json.dumps(event(data={"entity_id": None})), "bad_event", "data.entity_id"),
    ("a long payload", JSON_TYPE, json.dumps(LONG), "payload_too_large", "data.payload"),
    ("a deep payload", JSON_TYPE, DEEP, "bad_event", "data.payload"),
    ("a key that is a number", JSON_TYPE, json.dumps(event(idempotency_key=7)), "bad_event", "idempotency_key"),
    ("a long key", JSON_TYPE, json.dumps(event(idempotency_key="k" * 129)), "bad_event", "idempotency_key"),
    ("exclude a list", JSON_TYPE, json.dumps(event(exclude=["u-1"])), "bad_event", "exclude"),
    ("exclude nobody", JSON_TYPE, json.dumps(event(exclude={})), "bad_event", "exclude"),
    ("exclude a device", JSON_TYPE, json.dumps(event(exclude={"device": "x"})), "bad_event", "exclude"),
    ("exclude a number", JSON_TYPE, json.dumps(event(exclude={"user": 7})), "bad_event", "exclude"),
    ("an array with a bad one", JSON_TYPE, json.dumps([event(), event(topic="x")]), "bad_topic", "[1].topic"),
    ("an array with a number", JSON_TYPE, json.dumps([event(), 7]), "bad_event", "[1]"),
    ("an array with a long payload", JSON_TYPE, json.dumps([event(), LONG]), "payload_too_large", "[1].data.payload"),
    ("an array with a new type", JSON_TYPE, json.dumps([event(), event(topic="x:1")]), "unknown_topic_type", "[1]"),
    ("an array with a bad exclude", JSON_TYPE, json.dumps([event(), event(exclude=1)]), "bad_event", "[1].exclude"),
    ("lines with a bad one", NDJSON_TYPE, f"{GOOD_LINE}\n\n{{\n", "bad_json", "[1]"),
    ("lines with a list", NDJSON_TYPE, f"{GOOD_LINE}\n[]\n", "bad_event", "[1]"),
    ("over the limit", JSON_TYPE, json.dumps([event()] * 100), "body_too_large", None),
    ("no content type", {}, GOOD_LINE, NO_MEDIA, None),
    ("a form", {"content-type": "application/x-www-form-urlencoded"}, "a=b", NO_MEDIA, None),
    ("multipart", {"content-type": "multipart/form-data; boundary=x"}, "--x--", NO_MEDIA, None),
    ("plain text", {"content-type": "text/plain"}, GOOD_LINE, NO_MEDIA, None),
    ("another charset", {"content-type": "application/json; charset=utf-16"}, GOOD_LINE, NO_MEDIA, None),
    ("compressed", {**JSON_TYPE, "content-encoding": "gzip"}, GOOD_LINE, NO_MEDIA, None),
    ("no key", {**JSON_TYPE, "authorization": ""}, GOOD_LINE, "unauthorized", None),
    ("a wrong key", {**JSON_TYPE, "authorization": "Bearer kez"}, GOOD_LINE, "unauthorized", None),
    ("a key with more", {**JSON_TYPE, "authorization": "Bearer key2"}, GOOD_LINE, "unauthorized", None),
    ("a key with its tenant", {**JSON_TYPE, "authorization": "Bearer bound@t-1"}, GOOD_LINE, "unauthorized", None),
    ("another scheme", {**JSON_TYPE, "authorization": "Basic key"}, GOOD_LINE, "unauthorized", None),
    ("a foreign page", {**JSON_TYPE, "origin": "https://evil.example"}, GOOD_LINE, "origin_forbidden", None),
    ("a page of nowhere", {**JSON_TYPE, "origin": "null"}, GOOD_LINE, "origin_forbidden", None),
    ("another tenant", BOUND, json.dumps(FOREIGN), "forbidden", "data.tenant_id"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "headers", "body", "code", "path"), BAD, ids=[row[0] for row in BAD])
async def test_bad_input_publishes_nothing(
    what: str, headers: dict[str, str], body: str | bytes, code: str, path: str | None,
    client: httpx.AsyncClient, server: FakeServer,
) -> None:  # fmt: skip
    answer = await client.post("/realtime/publish", content=body, headers=headers)
    error = error_of(answer)
    assert (error["code"], error.get("path")) == (code, path)
    assert error["message"].endswith(".")
    assert await server.stored() == [] and await server.stored(tenant="t-1") == []


async def test_the_fault_names_the_event(client: httpx.AsyncClient) -> None:
    in_array = await client.post("/realtime/publish", json=[event(), event(topic="x")])
    assert error_of(in_array)["message"].startswith("Event 1 of the array, counted from 0: ")
    in_lines = await client.post("/realtime/publish", content=f"{GOOD_LINE}\n\n{{", headers=NDJSON_TYPE)
    assert error_of(in_lines)["message"].startswith("Line 3: ")


async def test_an_allowed_page(client: httpx.AsyncClient) -> None:
    answer = await client.post("/realtime/publish", json=event(), headers={"origin": "https://ops.example"})
    assert answer.status_code == 200


async def test_a_body_without_length_is_read_no_further_than_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1_000
            yield b"x" * 1_000

    answer = await client.post("/realtime/publish", content=endless(), headers=JSON_TYPE)
    assert error_of(answer)["code"] == "body_too_large"
    assert sent <= 10_000


async def test_tenants(client: httpx.AsyncClient, server: FakeServer) -> None:
    bound = {"authorization": "bearer  bound"}
    assert (await client.post("/realtime/publish", json=event(1), headers=bound)).status_code == 200
    assert (
        await client.post("/realtime/publish", json=event(2, data={"tenant_id": "t-1"}), headers=bound)
    ).status_code == 200
    mixed = [event(3, data={"tenant_id": "t-1"}), event(4, data={"tenant_id": "t-2"}), event(5)]
    assert (await client.post("/realtime/publish", json=mixed)).status_code == 200
    assert [e["data"]["payload"]["n"] for e in await server.stored(tenant="t-1")] == [1, 2, 3]
    assert [e["data"]["payload"]["n"] for e in await server.stored(tenant="t-2")] == [4]
    assert [e["data"]["payload"]["n"] for e in await server.stored()] == [5]


async def test_without_keys_nothing_is_open(server: FakeServer) -> None:
    app = Starlette(routes=routes(server, Settings(secret=SECRET), Catalog(None)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        for authorization in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer key"}):
            answer = await client.post("/realtime/publish", json=event(), headers=authorization)
            assert error_of(answer)["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_broker_is_down(client: httpx.AsyncClient, server: FakeServer) -> None:
    server.fault = BrokerUnavailable("redis://:password@host refused")
    answer = await client.post("/realtime/publish", json=event())
    assert error_of(answer) == {"code": "unavailable", "message": ErrorCode.UNAVAILABLE.sentence}
    assert answer.headers["retry-after"] == "1"


async def test_our_own_fault_is_not_told(client: httpx.AsyncClient, server: FakeServer) -> None:
    server.fault = KeyError("password")
    answer = await client.post("/realtime/publish", json=event())
    assert error_of(answer) == {"code": "internal", "message": ErrorCode.INTERNAL.sentence}


async def test_cursor(client: httpx.AsyncClient, server: FakeServer) -> None:
    await client.post("/realtime/publish", json=event())
    answer = await client.get("/realtime/cursor?topic=gift-list:1&topic=chat:a~20b&topic=gift-list:1")
    first = str(await server.broker.head(TopicKey(None, "gift-list:1")))
    second = str(await server.broker.head(TopicKey(None, "chat:a~20b")))
    assert answer.json() == {"cursors": {"gift-list:1": first, "chat:a~20b": second}}
    assert answer.headers["tidings-cursor"] == f"gift-list:1={first}, chat:a~20b={second}"
    assert answer.headers["access-control-expose-headers"] == "Tidings-Cursor"


async def test_cursor_of_a_tenant(client: httpx.AsyncClient, server: FakeServer) -> None:
    head = str(await server.broker.head(TopicKey("t-1", "gift-list:1")))
    bound = {"authorization": "Bearer bound"}
    for url, headers in (
        ("/realtime/cursor?topic=gift-list:1&tenant=t-1", {}),
        ("/realtime/cursor?topic=gift-list:1", bound),
        ("/realtime/cursor?topic=gift-list:1&tenant=t-1", bound),
    ):
        assert (await client.get(url, headers=headers)).json() == {"cursors": {"gift-list:1": head}}
    foreign = await client.get("/realtime/cursor?topic=gift-list:1&tenant=t-2", headers=bound)
    assert error_of(foreign)["code"] == "forbidden"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad_frame"),
        ("?topic=", "bad_topic"),
        ("?topic=gift-list:*", "bad_topic"),
        ("?topic=gift-list:1%0D%0AX-Evil:1", "bad_topic"),
        ("?topic=gift-list:1,chat:1", "bad_topic"),
        ("?" + "&".join(f"topic=chat:{n}" for n in range(101)), "too_many_topics"),
    ],
)
async def test_cursor_refuses(query: str, code: str, client: httpx.AsyncClient) -> None:
    assert error_of(await client.get("/realtime/cursor" + query))["code"] == code


async def test_disconnect(client: httpx.AsyncClient, server: FakeServer) -> None:
    bound = {"authorization": "Bearer bound"}
    assert (await client.post("/realtime/disconnect", json={"user": "u-1"})).json() == {"disconnected": 2}
    await client.post("/realtime/disconnect", json={"user": "u-1", "tenant": "t-9"})
    await client.post("/realtime/disconnect", json={"session": "s-1"})
    await client.post("/realtime/disconnect", json={"user": "u-1"}, headers=bound)
    assert server.disconnected == [
        ("u-1", None, None), ("u-1", "t-9", None), (None, None, "s-1"), ("u-1", "t-1", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "headers", "code", "path"),
    [
        ({}, {}, "bad_frame", "user"),
        ([], {}, "bad_frame", None),
        ({"user": 7}, {}, "bad_frame", "user"),
        ({"user": ""}, {}, "bad_frame", "user"),
        ({"user": "u", "tenant": "t-2"}, {"authorization": "Bearer bound"}, "forbidden", "tenant"),
        ({"session": "s"}, {"authorization": "Bearer bound"}, "bad_frame", "user"),
        ({"user": "u"}, {"authorization": "Bearer no"}, "unauthorized", None),
    ],
)
async def test_disconnect_refuses(
    body: Any, headers: dict[str, str], code: str, path: str | None, client: httpx.AsyncClient, server: FakeServer
) -> None:
    error = error_of(await client.post("/realtime/disconnect", json=body, headers=headers))
    assert (error["code"], error.get("path")) == (code, path)
    assert server.disconnected == []


async def test_token(client: httpx.AsyncClient) -> None:
    body = {"user": "u-1", "subscribe": ["gift-list:*"], "ttl_seconds": 60}
    answer = await client.post("/realtime/token", json=body, headers={"authorization": "Bearer bound"})
    assert answer.json()["expires_in_seconds"] == 60
    assert answer.headers["cache-control"] == "no-store"
    authenticator = JwtAuthenticator(SECRET, audience="tidings")
    credentials = Credentials(token=answer.json()["token"], source=CredentialSource.QUERY)
    identity = await authenticator.authenticate(credentials)
    assert (identity.user, identity.tenant, identity.subscribe) == ("u-1", "t-1", ("gift-list:*",))
    assert identity.expires_at is not None
    assert abs(identity.expires_at - datetime.now(UTC).timestamp() - 60) < 5


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_frame"),
        ({"user": "u", "ttl_seconds": 0}, "bad_frame"),
        ({"user": "u", "ttl_seconds": 10**9}, "bad_frame"),
        ({"user": "u", "ttl_seconds": True}, "bad_frame"),
        ({"user": "u" * 200}, "bad_frame"),
        ({"user": "u", "subscribe": "gift-list:*"}, "bad_frame"),
        ({"user": "u", "publish": ["gifts"]}, "bad_frame"),
    ],
)
async def test_token_refuses(body: Any, code: str, client: httpx.AsyncClient) -> None:
    assert error_of(await client.post("/realtime/token", json=body))["code"] == code


async def test_no_secret_no_token(server: FakeServer) -> None:
    app = Starlette(routes=routes(server, Settings(api_keys=["key"]), Catalog(None)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.post("/realtime/token", json={"user": "u"}, headers={"authorization": "Bearer key"})
        assert error_of(answer)["code"] == "forbidden"


async def test_probes_need_no_key(client: httpx.AsyncClient, server: FakeServer) -> None:
    nobody = {"authorization": ""}
    assert (await client.get("/healthz", headers=nobody)).json() == {"status": "ok"}
    assert (await client.get("/readyz", headers=nobody)).status_code == 200
    server.is_ready = False
    assert (await client.get("/readyz", headers=nobody)).status_code == 503
    assert (await client.get("/healthz", headers=nobody)).status_code == 200


async def test_other_methods(client: httpx.AsyncClient) -> None:
    assert (await client.get("/realtime/publish")).status_code == 405
    assert (await client.post("/realtime/cursor")).status_code == 405


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(ErrorCode)
    assert all(400 <= status < 600 for status in STATUS.values())
    assert all((STATUS[code] >= 500) == (code.fault == "server") for code in ErrorCode)
