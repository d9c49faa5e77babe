"""Event streams over real sockets: the promises of a WebSocket, told the way that an ``EventSource`` hears them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tests.schemas import schema
from tests.servers import Address, serving
from tests.streams import RECORD_SECONDS_MAX, Stream, offsets, streaming
from tidings import Exclude, Limits, Settings
from tidings.server import Tidings
from tidings.transports import sse

SECRET = "a secret of more than forty-eight bytes, enough for HS384"
LIST = "gift-list:1"
ALLOWED_ORIGIN = "https://app.example.com"
FRAME = schema("frames", "serverFrame")


def token(**claims: Any) -> str:
    base = {"sub": "ana", "tenant": "t-1", "exp": time.time() + 600, "subscribe": ["gift-list:*"]}
    return jwt.encode({**base, **claims}, SECRET)


def bearer(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}


@asynccontextmanager
async def server(limits: Limits | None = None, *middleware: Any) -> AsyncIterator[tuple[Tidings, httpx.AsyncClient]]:
    """A server, and a client of it that Ana uses."""
    settings = Settings(
        secret=SECRET, cookie="session", allowed_origins=[ALLOWED_ORIGIN], limits=limits or Limits(), topics=None
    )
    live, app = Tidings(settings=settings), Starlette()
    app.add_route("/plain", lambda _request: PlainTextResponse("x" * 10_000))
    live.mount(app)
    for one in middleware:
        app.add_middleware(one)
    async with serving(app) as address:
        async with client(address, headers=bearer()) as http:
            yield live, http


def client(address: Address, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{address.http}/realtime", timeout=RECORD_SECONDS_MAX, **options)


async def publish(live: Tidings, *entity_ids: str, topic: str = LIST, **options: Any) -> list[str]:
    return [
        await live.publish(topic, "UPDATED", entity_id=entity_id, tenant="t-1", **options) for entity_id in entity_ids
    ]


async def until(condition: Any) -> None:
    async with asyncio.timeout(RECORD_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)


# What a stream is.


async def test_the_head_of_a_stream() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream"
        assert set(headers["cache-control"].split(", ")) == {"no-cache", "no-store", "no-transform"}
        assert headers["x-accel-buffering"] == "no"
        assert headers["vary"] == "Origin"
        assert "content-encoding" not in headers and "content-length" not in headers
        assert len(stream.parser.comments[0]) >= 2_000, "what buffers the first 2 KB is filled before the welcome"
        assert len(stream.parser.retry_ms) == 1 and 1_000 <= stream.parser.retry_ms[0] <= 4_000
        answer = await stream.frame()
        assert answer["topics"][LIST]["recovered"] is False and answer["topics"][LIST]["reason"] == "no_cursor"
        cursors = await publish(live, "a", "b")
        assert [frame["cursor"] for frame in await stream.events(2)] == cursors


async def test_every_record_is_a_frame_of_the_schema() -> None:
    async with server() as (live, http):
        async with http.stream("GET", f"/sse?topics={LIST},other:1,gift-list:*") as response:
            stream = Stream(response)
            records = [await stream.record() for _ in range(3)]
            await publish(live, "a")
            records.append(await stream.record())
            for record in records:
                FRAME.validate(record.frame)
            kinds = [record.frame.get("type") for record in records]
            assert kinds == ["welcome", "error", "subscribed", None]


async def test_the_welcome_comes_before_the_topics_are_known() -> None:
    """It means connected, and a client that waits 5 s for it must not wait for a slow rule."""
    gate = asyncio.Event()

    async def rule(_identity: object, **_names: str) -> bool:
        await gate.wait()
        return True

    settings = Settings(secret=SECRET)
    live, app = Tidings(settings=settings, authorize={"slow:{id}": rule}), Starlette()
    live.mount(app)
    async with serving(app) as address, client(address, headers=bearer()) as http:
        async with streaming(http, "/sse?topics=slow:1") as stream:
            gate.set()
            assert (await stream.frame())["type"] == "subscribed"


async def test_positions_are_in_the_id_and_ids_can_be_left_out() -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST},gift-list:2") as stream:
            await stream.frame()
            [first] = await publish(live, "a")
            [second] = await publish(live, "b", topic="gift-list:2")
            await stream.events(1)
            assert f"{LIST}={first}" in stream.last_event_id
            await stream.events(1)
            assert stream.last_event_id == f"gift-list:2={second},{LIST}={first}"
        async with streaming(http, f"/sse?topics={LIST}&ids=0") as stream:
            await stream.frame()
            await publish(live, "c")
            await stream.events(1)
            assert stream.last_event_id == ""


async def test_frames_of_a_wildcard_move_no_position() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST},gift-list:*") as stream:
        answer = await stream.frame()
        wildcard = answer["topics"]["gift-list:*"]
        assert (wildcard["cursor"], wildcard["recovered"], wildcard["reason"]) == (None, False, "no_history")
        await publish(live, "a", topic="gift-list:9")
        await stream.events(1)
        assert stream.last_event_id == f"{LIST}={answer['topics'][LIST]['cursor']}"


async def test_comments_keep_a_silent_stream_open() -> None:
    async with server(Limits(heartbeat_seconds=1, silence_seconds=4)) as (_, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            assert (await stream.frame())["type"] == "pong", "the session's own sign of life, for the client"
            await stream.frame()
            assert "still here" in stream.parser.comments


# Promise 1 across reconnects.


async def test_a_reconnect_by_last_event_id_goes_on_whole_and_in_order() -> None:
    async with server() as (live, http):
        seen: list[int] = []
        last_event_id = ""
        published = 0
        for _ in range(6):
            headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
            # The address still says where the page began; the id is newer and counts.
            path = f"/sse?topics={LIST}&since={LIST}=old-1"
            async with streaming(http, path, headers=headers) as stream:
                answer = (await stream.frame())["topics"][LIST]
                assert answer["recovered"] is bool(last_event_id)
                missed = published - len(seen)
                seen += offsets(await stream.events(missed))
                await publish(live, *"abcde")
                published += 5
                seen += offsets(await stream.events(3))  # the other two are lost with the connection
                last_event_id = stream.last_event_id
            await publish(live, *"fgh")
            published += 3
        async with streaming(http, f"/sse?topics={LIST}", headers={"Last-Event-ID": last_event_id}) as stream:
            await stream.frame()
            seen += offsets(await stream.events(published - len(seen)))
        assert seen == list(range(1, published + 1)), "whole, in order, once"


async def test_a_reconnect_before_the_first_event_recovers_too() -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            last_event_id = stream.last_event_id
        cursors = await publish(live, "a")
        async with streaming(http, f"/sse?topics={LIST}", headers={"Last-Event-ID": last_event_id}) as stream:
            assert (await stream.frame())["topics"][LIST]["recovered"] is True
            assert [frame["cursor"] for frame in await stream.events(1)] == cursors


@pytest.mark.parametrize("way", ["query", "body", "id"])
@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ("{epoch}-1", "trimmed"),
        ("{epoch}-99", "ahead"),
        ("foreign-1", "epoch_changed"),
        ("rubbish", "bad_cursor"),
        ("{epoch}-18", None),
    ],
)
async def test_what_does_not_recover_is_told_in_the_stream(way: str, since: str, reason: str | None) -> None:
    async with server(Limits(history_events=5)) as (live, http):
        cursors = await publish(live, *map(str, range(20)))
        since = since.format(epoch=cursors[0].partition("-")[0])
        options: dict[str, Any] = {}
        path = f"/sse?topics={LIST}"
        if way == "query":
            path += f"&since={LIST}={since}"
        elif way == "body":
            path, options = "/sse", {"json": {"type": "subscribe", "topics": [LIST], "since": {LIST: since}}}
        else:
            options = {"headers": {"Last-Event-ID": f"{LIST}={since}"}}
        async with streaming(http, path, **options) as stream:
            answer = (await stream.frame())["topics"][LIST]
            assert (answer["recovered"], answer.get("reason")) == (reason is None, reason)
            assert answer["cursor"] == (since if reason is None else cursors[-1])
            if reason is None:
                assert offsets(await stream.events(2)) == [19, 20]


async def test_a_stream_that_breaks_is_told_in_the_stream() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        before = (await stream.frame())["topics"][LIST]["cursor"]
        await publish(live, "a")
        await stream.events(1)
        broker: Any = live.node._broker
        broker._topics.clear()  # the history is lost, as with a broker that was restarted
        await publish(live, "b")
        news = (await stream.frame())["topics"][LIST]
        assert (news["recovered"], news["reason"]) == (False, "epoch_changed")
        assert stream.last_event_id == f"{LIST}={news['cursor']}"
        assert news["cursor"].partition("-")[0] != before.partition("-")[0]


async def test_rubbish_in_last_event_id_is_no_position_and_no_refusal() -> None:
    """An EventSource that has it can neither mend it nor try again after a 400."""
    async with server() as (_, http):
        for rubbish in ("1", "a=b=c,,=,", "\xff" * 50, f"{LIST}=k3f9-1," + "x" * 5_000):
            headers = {"Last-Event-ID": rubbish.encode("latin-1")}
            async with streaming(http, f"/sse?topics={LIST}", headers=headers) as stream:
                assert (await stream.frame())["topics"][LIST]["reason"] == "no_cursor"


async def test_positions_beyond_4_kib_are_left_out() -> None:
    topics = [f"gift-list:{'x' * 150}-{number}" for number in range(40)]
    async with server() as (live, http):
        body = {"type": "subscribe", "topics": topics}
        async with streaming(http, "/sse", json=body) as stream:
            await stream.frame()
            [newest] = await publish(live, "a", topic=topics[7])
            await stream.events(1)
            last_event_id = stream.last_event_id
            assert 3_500 < len(last_event_id) <= 4_096
            assert last_event_id.startswith(f"{topics[7]}={newest},"), "what moved last is kept"


async def test_more_than_the_backlog_recovers_all_the_same() -> None:
    """A page of history may be larger than what may wait for a slow reader; nobody is slow for that."""
    limits = Limits(backlog_bytes=20_000)
    async with server(limits) as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        await publish(live, *map(str, range(40)), payload="x" * 4_000)
        async with streaming(http, f"/sse?topics={LIST}&since={LIST}={start}") as stream:
            assert (await stream.frame())["topics"][LIST]["recovered"] is True
            assert offsets(await stream.events(40)) == list(range(1, 41))


# Subscriptions change without a new stream.


async def test_frames_for_a_session_are_answered_in_its_stream() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        [missed] = await publish(live, "a", topic="gift-list:2")
        since = {"gift-list:2": missed.replace("-1", "-0")}
        frame = {"type": "subscribe", "topics": ["gift-list:2", "other:1"], "since": since, "id": 7}
        accepted = await http.post(f"/session/{stream.session}", json=frame)
        assert (accepted.status_code, accepted.json()) == (202, {"accepted": True})
        error, answer = await stream.frame(), await stream.frame()
        assert (error["code"], error["topic"], error["id"]) == ("forbidden", "other:1", 7)
        assert (answer["topics"]["gift-list:2"]["recovered"], answer["id"]) == (True, 7)
        assert (await stream.events(1))[0]["cursor"] == missed
        assert stream.last_event_id.startswith(f"gift-list:2={missed},")
        await http.post(f"/session/{stream.session}", json={"type": "unsubscribe", "topics": [LIST]})
        assert (await stream.frame()) == {"type": "unsubscribed", "topic": "system", "topics": [LIST]}
        assert stream.last_event_id == f"gift-list:2={missed}"
        await publish(live, "not ours any more")
        [cursor] = await publish(live, "b", topic="gift-list:2")
        assert (await stream.events(1))[0]["cursor"] == cursor
        await http.post(f"/session/{stream.session}", json={"type": "auth", "token": token(), "id": 8})
        assert (await stream.frame())["id"] == 8, "credentials are renewed in place"


async def test_frames_that_are_none_and_sessions_that_are_not_ours() -> None:
    async with server() as (_, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        path = f"/session/{stream.session}"
        ping = {"type": "ping", "id": 1}
        big = {"type": "subscribe", "topics": ["x" * 140_000]}
        table: list[tuple[int, str, str, dict[str, Any]]] = [
            (404, "forbidden", "/session/nobody", {"json": ping}),
            (404, "forbidden", path, {"json": ping, "headers": bearer(sub="ben")}),
            (404, "forbidden", path, {"json": ping, "headers": bearer(tenant="t-2")}),
            (401, "unauthorized", path, {"json": ping, "headers": {"Authorization": "Bearer rubbish"}}),
            (401, "unauthorized", path, {"json": ping, "headers": {"Authorization": ""}}),
            (403, "origin_forbidden", path, {"json": ping, "headers": {"Origin": "https://evil.example"}}),
            (400, "bad_json", path, {"content": "{", "headers": {"Content-Type": "application/json"}}),
            (400, "bad_frame", path, {"json": {"type": "subscribe"}}),
            (400, "unknown_type", path, {"json": {"type": "shout"}}),
            (413, "body_too_large", path, {"json": big}),
            (415, "unsupported_media_type", path, {"content": json.dumps(ping)}),
        ]
        for status, code, where, options in table:
            answer = await http.post(where, **options)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert (await http.post(path, json=ping)).status_code == 202
        assert (await stream.frame()) == {"type": "pong", "topic": "system", "id": 1}, "of all those, the last alone"


async def test_a_session_ends_with_its_stream() -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
        await until(lambda: live.node.statistics()["connections"] == 0)
        answer = await http.post(f"/session/{stream.session}", json={"type": "ping"})
        assert answer.status_code == 404


async def test_frames_sent_at_once_are_all_answered() -> None:
    async with server() as (_, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        frames = [{"type": "subscribe", "topics": [f"gift-list:{n}"], "id": n} for n in range(20)]
        answers = await asyncio.gather(*(http.post(f"/session/{stream.session}", json=frame) for frame in frames))
        assert {answer.status_code for answer in answers} == {202}
        assert {(await stream.frame())["id"] for _ in frames} == set(range(20))


# Who may, and what is refused.


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        (f"/sse?topics={LIST}", {"headers": {"Authorization": ""}}, 401, "unauthorized"),
        (f"/sse?topics={LIST}", {"headers": {"Authorization": "Bearer rubbish"}}, 401, "unauthorized"),
        (f"/sse?topics={LIST}&token=rubbish", {}, 401, "unauthorized"),
        (f"/sse?topics={LIST}&token={token(exp=time.time() - 600)}", {}, 401, "unauthorized"),
        (f"/sse?topics={LIST}", {"headers": {"Origin": "https://evil.example"}}, 403, "origin_forbidden"),
        ("/sse", {}, 400, "bad_frame"),
        ("/sse?topics=", {}, 400, "bad_frame"),
        (f"/sse?topics={LIST}&since=rubbish", {}, 400, "bad_frame"),
        ("/sse?" + "&".join(f"topics=gift-list:{n}" for n in range(40)), {}, 400, "bad_frame"),
        ("/sse?topics=" + ",".join(f"gift-list:{n}" for n in range(101)), {}, 400, "too_many_topics"),
        ("/sse", {"json": {"type": "subscribe", "topics": [f"a:{n}" for n in range(101)]}}, 400, "too_many_topics"),
        ("/sse", {"json": {"type": "ping"}}, 400, "bad_frame"),
        ("/sse", {"json": {"topics": [LIST]}}, 400, "bad_frame"),
        ("/sse", {"json": {"type": "subscribe", "topics": ["x" * 140_000]}}, 413, "body_too_large"),
        ("/sse", {"content": "x", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
    ],
)  # fmt: skip
async def test_refusals_are_a_status_with_the_same_codes(
    path: str, options: dict[str, Any], status: int, code: str
) -> None:
    async with server() as (live, http):
        answer = await http.request("POST" if "json" in options or "content" in options else "GET", path, **options)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert answer.headers["vary"] == "Origin" and answer.headers["cache-control"] == "no-store"
        assert live.node.statistics()["sockets"] == 0, "nothing is left of who was refused"


async def test_refused_topics_are_told_one_by_one_and_the_rest_goes_on() -> None:
    async with server() as (_, http):
        path = f"/sse?topics=other:1,gifts,{LIST},user:ben,gift-list:1%0A"
        async with streaming(http, path) as stream:
            frames = [await stream.frame() for _ in range(5)]
            errors = {frame["topic"]: frame["code"] for frame in frames[:4]}
            assert errors == {
                "other:1": "forbidden",
                "gifts": "bad_topic",
                "user:ben": "forbidden",
                "gift-list:1\n": "bad_topic",
            }
            assert list(frames[4]["topics"]) == [LIST]


async def test_other_methods_are_not_served() -> None:
    async with server() as (_, http):
        for method in ("HEAD", "PUT", "DELETE"):
            assert (await http.request(method, f"/sse?topics={LIST}")).status_code == 405


async def test_too_many_connections_of_a_user() -> None:
    async with server(Limits(connections_per_user=1)) as (_, http):
        async with streaming(http, f"/sse?topics={LIST}"):
            refused = await http.get(f"/sse?topics={LIST}")
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_connections")
            assert int(refused.headers["retry-after"]) >= 1
            async with streaming(http, f"/sse?topics={LIST}", headers=bearer(sub="ben")):
                pass


@pytest.mark.parametrize("stops", ["draining", "closed"])
async def test_a_server_that_goes_away_refuses_with_503(stops: str) -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST}"):
            await live.drain(0)
            refused = await http.get(f"/sse?topics={LIST}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["connection"] == "close", "the next try must reach another server"


async def test_another_tenants_topic_is_another_topic() -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST}", headers=bearer(tenant="t-2")) as stream:
            await stream.frame()
            await publish(live, "secret")
            await live.publish(LIST, "UPDATED", entity_id="ours", tenant="t-2")
            assert (await stream.events(1))[0]["data"]["entity_id"] == "ours"


async def test_exclude_leaves_out_the_session_of_a_stream() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        await publish(live, "own", exclude=Exclude(session=stream.session))
        await publish(live, "of others")
        assert (await stream.events(1))[0]["data"]["entity_id"] == "of others"


ORIGINS = [
    # origin, with a cookie, Sec-Fetch-Site, allowed
    ("same", True, None, True),
    ("same", False, None, True),
    (ALLOWED_ORIGIN, True, "cross-site", True),
    (ALLOWED_ORIGIN, False, "cross-site", True),
    ("https://evil.example", True, None, False),
    ("https://evil.example", False, None, False),
    (f"{ALLOWED_ORIGIN}.evil.example", True, None, False),
    ("null", True, None, False),
    ("null", False, None, False),
    ("http://127.0.0.1:1", True, None, False),
    (None, True, None, True),  # an ordinary GET: browsers leave Origin out for a page of our own
    (None, True, "same-origin", True),
    (None, True, "none", True),
    (None, True, "same-site", False),
    (None, True, "cross-site", False),
    (None, False, "cross-site", True),  # a token that only our own page can know
]  # fmt: skip


@pytest.mark.parametrize("door", ["sse", "poll"])
@pytest.mark.parametrize(("origin", "cookie", "site", "allowed"), ORIGINS)
async def test_the_origin_decides_as_for_a_websocket(
    door: str, origin: str | None, cookie: bool, site: str | None, allowed: bool
) -> None:
    async with server() as (_, http):
        origin = str(http.base_url).removesuffix("/realtime/") if origin == "same" else origin
        headers = {"Cookie": f"session={token()}"} if cookie else bearer()
        headers |= {} if origin is None else {"Origin": origin}
        headers |= {} if site is None else {"Sec-Fetch-Site": site}
        http.headers.pop("authorization")
        async with http.stream("GET", f"/{door}?topics={LIST}", headers=headers) as answer:
            shown = answer.headers.get("access-control-allow-origin")
            assert answer.headers["vary"] == "Origin"
            if allowed:
                assert answer.status_code == 200
                assert shown == origin, "by its name, or not at all"
                assert answer.headers.get("access-control-allow-credentials") == (None if origin is None else "true")
            else:
                assert (answer.status_code, shown) == (403, None)
                assert json.loads(await answer.aread())["error"]["code"] == "origin_forbidden"


@pytest.mark.parametrize("door", ["sse", "poll", "session/some"])
async def test_a_post_with_a_cookie_needs_a_known_origin(door: str) -> None:
    """It may change subscriptions, and a form of any page could send it."""
    async with server() as (_, http):
        http.headers.pop("authorization")
        answer = await http.post(f"/{door}", json={"type": "ping"}, headers={"Cookie": f"session={token()}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_forbidden")


@pytest.mark.parametrize("door", ["sse", "poll", "session/some"])
@pytest.mark.parametrize(("origin", "allowed"), [(ALLOWED_ORIGIN, True), ("https://evil.example", False)])
async def test_preflights(door: str, origin: str, allowed: bool) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with server() as (_, http):
        http.headers.pop("authorization")
        answer = await http.options(f"/{door}", headers=asked)
        assert answer.status_code == (204 if allowed else 403)
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert answer.headers["vary"] == "Origin"
        if allowed:
            assert "POST" in answer.headers["access-control-allow-methods"]
            assert {"authorization", "content-type", "last-event-id"} <= set(
                answer.headers["access-control-allow-headers"].split(", ")
            )


# Hostile contents (C17).


async def test_every_control_character_comes_through_and_begins_no_field() -> None:
    characters = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA1), 0x2028, 0x2029, 0xFEFF]))
    forged = "\n\ndata: {}\n\nid: evil\n\nevent: close\rdata: x\r\n\r\nretry: 1\n: comment"
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        retry_ms = list(stream.parser.retry_ms)
        for text in (characters, forged, *characters):
            [cursor] = await publish(live, text or "x", payload={"text": text, text: 1})
            record = await stream.record()
            assert record.event == "message"
            assert record.frame["data"]["payload"] == {"text": text, text: 1}
            assert record.last_event_id == f"{LIST}={cursor}"
        assert stream.parser.retry_ms == retry_ms


# Middlewares.


async def test_gzip_neither_compresses_nor_holds_back() -> None:
    async with server(None, GZipMiddleware) as (live, http):
        http.headers["Accept-Encoding"] = "gzip"
        plain = await http.get(str(http.base_url).replace("/realtime/", "/plain"))
        assert plain.headers["content-encoding"] == "gzip", "it is there, and works"
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            assert "content-encoding" not in stream.response.headers
            await stream.frame()
            await publish(live, "a")
            await stream.events(1)


async def test_a_middleware_that_wraps_the_body_and_a_client_that_goes_away_within_it() -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            answer: Response = await call_next(request)
            return answer

    async with server(None, Passing) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            await publish(live, "a")
            await stream.events(1)
            assert live.node.statistics()["connections"] == 1
        await until(lambda: live.node.statistics()["connections"] == 0)


# The end.


async def test_a_reader_that_stops_reading_is_cut_off_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.2)
    async with server(Limits(backlog_bytes=50_000)) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}", headers=bearer(sub="witness")) as witness:
            await witness.frame()
            reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
            try:
                writer.write(f"GET /realtime/sse?topics={LIST}&token={token()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await reader.readuntil(b'"subscribed"')
                # From here on nobody reads: what comes fills the buffers of both sides.
                assert live.node.statistics()["subscriptions_live"] == 2
                async with asyncio.timeout(30):
                    while live.node.statistics()["subscriptions_live"] == 2:
                        await publish(live, "large", payload="x" * 100_000)
                        await witness.events(1)
                await publish(live, "after")
                assert (await witness.events(1))[0]["data"]["entity_id"] == "after", "nobody else is harmed"
                await until(lambda: live.node.statistics()["connections"] == 1)
            finally:
                writer.transport.abort()


async def test_disconnect_ends_the_stream_and_says_how() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        assert await live.disconnect("ana", tenant="t-1") == 1
        [last] = await stream.end()
        assert (last.event, json.loads(last.data)) == ("close", {"code": 4401, "reason": "disconnected"})
        schema("frames", "streamClose").validate(last.frame)


async def test_a_token_that_expires() -> None:
    async with server(Limits(expiry_grace_seconds=1)) as (_, http):
        async with streaming(http, f"/sse?topics={LIST}&token={token(exp=time.time() + 1)}") as stream:
            await stream.frame()
            expiring, refused, last = await stream.end()
            assert [one.frame.get("code") for one in (expiring, refused)] == ["token_expired", "unauthorized"]
            assert (last.event, last.frame["code"]) == ("close", 4401)


async def test_the_close_of_the_application_ends_streams_and_says_when_to_come_back() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        await live.close()
        reconnect, last = await stream.end()
        assert reconnect.frame == {"type": "reconnect", "topic": "system", "delay_ms": 2_000}
        assert (last.event, last.frame["code"]) == ("close", 1012)
        assert stream.parser.retry_ms[-1] <= 2_000
