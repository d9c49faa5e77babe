"""Who may have a stream or a poll, from which page, and how a no is told."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.over_http import ALLOWED_ORIGIN, LIST, bearer, publish, server, token
from tests.streams import streaming
from tidings import Exclude, Limits


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
        ("/sse?topics=" + ",".join(f"gift-list:{n}" for n in range(257)), {}, 400, "too_many_topics"),
        ("/sse", {"json": {"type": "subscribe", "topics": [f"a:{n}" for n in range(257)]}}, 400, "too_many_topics"),
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
