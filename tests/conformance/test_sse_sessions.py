"""Subscriptions change without another stream: frames for a stream's session."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.over_http import LIST, bearer, publish, server, token, until
from tests.streams import streaming
from tidings import Limits


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
            (404, "unknown_session", "/session/nobody", {"json": ping}),
            (404, "unknown_session", path, {"json": ping, "headers": bearer(sub="ben")}),
            (404, "unknown_session", path, {"json": ping, "headers": bearer(tenant="t-2")}),
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


async def test_an_opening_takes_all_topics_along_that_a_connection_may_hold() -> None:
    names = [f"gift-list:{number}" for number in range(256)]
    async with server() as (live, http):
        cursors = {name: (await publish(live, "a", "b", topic=name))[0] for name in (names[0], names[101], names[255])}
        body = {"type": "subscribe", "topics": names, "since": cursors, "id": 7}
        async with streaming(http, "/sse?ids=0", json=body) as stream:
            answered: dict[str, Any] = {}
            events: dict[str, str] = {}
            while len(answered) < len(names) or len(events) < len(cursors):
                frame = await stream.frame()
                if frame.get("type") == "subscribed":
                    assert frame["id"] == 7
                    answered |= frame["topics"]
                elif "event" in frame:
                    events[frame["topic"]] = frame["data"]["entity_id"]
            assert {name for name, answer in answered.items() if answer["recovered"]} == set(cursors)
            assert events == dict.fromkeys(cursors, "b")


async def test_what_a_connection_may_not_hold_is_refused_topic_by_topic() -> None:
    names = [f"gift-list:{number}" for number in range(6)]
    async with server(Limits(topics_per_frame=2, topics_per_connection=5)) as (_, http):
        async with streaming(http, "/sse?ids=0", json={"type": "subscribe", "topics": names}) as stream:
            frames = [await stream.frame() for _ in range(4)]
        answers = [name for frame in frames for name in frame.get("topics", ()) if frame["type"] == "subscribed"]
        errors = [(frame["code"], frame["topic"]) for frame in frames if frame["type"] == "error"]
        assert (sorted(answers), errors) == (names[:5], [("too_many_subscriptions", names[5])])


async def test_a_session_ends_with_its_stream() -> None:
    async with server() as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
        await until(lambda: live.node.statistics()["connections"] == 0)
        answer = await http.post(f"/session/{stream.session}", json={"type": "ping"})
        assert answer.status_code == 404
        sessions: Any = live._doors._sessions
        assert not sessions._streams and not sessions._open, "nothing is kept of it"


async def test_frames_sent_at_once_are_all_answered() -> None:
    async with server() as (_, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        frames = [{"type": "subscribe", "topics": [f"gift-list:{n}"], "id": n} for n in range(20)]
        answers = await asyncio.gather(*(http.post(f"/session/{stream.session}", json=frame) for frame in frames))
        assert {answer.status_code for answer in answers} == {202}
        assert {(await stream.frame())["id"] for _ in frames} == set(range(20))
