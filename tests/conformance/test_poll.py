"""Long-poll over real sockets: nothing is kept between two requests, and nothing is lost between them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from tests.over_http import ANSWER_SECONDS_MAX, LIST, bearer, publish, server, token
from tests.schemas import schema
from tests.streams import offsets, streaming
from tidings import Exclude, Limits
from tidings.brokers.memory import MemoryBroker
from tidings.core.errors import BrokerUnavailable
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.server import Tidings

QUICK = Limits(heartbeat_seconds=1, silence_seconds=4)  # a poll is held for a heartbeat
ANSWER = schema("frames", "pollAnswer")


async def poll(http: httpx.AsyncClient, topics: list[str], since: dict[str, str] | None = None, **more: Any) -> Any:
    """The frames of one answer, each held to the schema."""
    answer = await http.post("/poll", json={"topics": topics, "since": since or {}, **more})
    assert answer.status_code == 200, answer.text
    ANSWER.validate(answer.json())
    return answer.json()["frames"]


async def held(live: Tidings) -> None:
    """Wait until a poll is held."""
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while live.node.statistics()["subscriptions_live"] == 0:
            await asyncio.sleep(0.005)


class Poller:
    """A client that polls, and keeps one position for each topic."""

    def __init__(self, http: httpx.AsyncClient, *topics: str) -> None:
        self.positions: dict[str, str] = {}
        self.events: dict[str, list[int]] = {topic: [] for topic in topics}
        self.told: list[tuple[str, str]] = []
        self._http = http

    async def once(self) -> None:
        for frame in await poll(self._http, list(self.events), self.positions):
            if frame.get("type") == "subscribed":
                for topic, answer in frame["topics"].items():
                    if answer["recovered"]:
                        assert answer["cursor"] == self.positions[topic], "it starts where we stand"
                    else:
                        self.told.append((topic, answer["reason"]))
                        self.positions[topic] = answer["cursor"]
            else:
                self.events[frame["topic"]] += offsets([frame])
                self.positions[frame["topic"]] = frame["cursor"]


# When it answers.


async def test_without_a_position_it_answers_at_once_where_the_topics_stand() -> None:
    async with server() as (live, http):
        [cursor] = await publish(live, "a")
        [answer] = await poll(http, [LIST])
        assert answer["topics"][LIST] == {"cursor": cursor, "recovered": False, "reason": "no_cursor"}


async def test_it_answers_at_once_when_anything_is_newer() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        other = await live.cursor("gift-list:2", tenant="t-1")
        cursors = await publish(live, "a", "b")
        first, *events = await poll(http, [LIST, "gift-list:2"], {LIST: start, "gift-list:2": other}, id="p")
        assert first["id"] == "p"
        assert first["topics"][LIST] == {"cursor": start, "recovered": True}
        assert [event["cursor"] for event in events] == cursors


async def test_it_is_held_until_something_comes() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        asked = asyncio.create_task(poll(http, [LIST], {LIST: start}))
        await held(live)
        assert not asked.done()
        cursors = await publish(live, "a", "b")
        _, *events = await asked
        assert [event["cursor"] for event in events] == cursors, "what comes together leaves together"


async def test_it_is_held_no_longer_than_proxies_wait() -> None:
    async with server(QUICK) as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        began = time.monotonic()
        [answer] = await poll(http, [LIST], {LIST: start})
        assert 0.9 <= time.monotonic() - began < 3
        assert answer["topics"][LIST] == {"cursor": start, "recovered": True}
        assert live.node.statistics()["connections"] == 0


@pytest.mark.parametrize(
    ("since", "reason"),
    [("{epoch}-1", "trimmed"), ("{epoch}-99", "ahead"), ("foreign-1", "epoch_changed"), ("rubbish", "bad_cursor")],
)
async def test_what_does_not_recover_is_answered_at_once(since: str, reason: str) -> None:
    async with server(Limits(history_events=5)) as (live, http):
        cursors = await publish(live, *map(str, range(20)))
        start = since.format(epoch=cursors[0].partition("-")[0])
        [answer] = await poll(http, [LIST], {LIST: start})
        assert answer["topics"][LIST] == {"cursor": cursors[-1], "recovered": False, "reason": reason}


async def test_get_does_the_same() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        [cursor] = await publish(live, "a")
        answer = await http.get(f"/poll?topics={LIST}&since={LIST}={start}")
        assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
        assert [frame.get("cursor") for frame in answer.json()["frames"]] == [None, cursor]


# Promise 1 across polls.


@pytest.mark.parametrize("backlog_bytes", [1_048_576, 2_000])
async def test_nothing_is_lost_doubled_or_reordered_between_two_polls(backlog_bytes: int) -> None:
    """Also when an answer takes only a part of what there is."""
    topics = [f"gift-list:{number}" for number in range(3)]
    count = 200
    async with server(Limits(backlog_bytes=backlog_bytes)) as (live, http):
        poller = Poller(http, *topics)
        await poller.once()

        async def publishing() -> None:
            for number in range(count):
                for topic in topics[: 1 + number % 3]:
                    # Of all sizes: a small one may fit where a larger one before it did not.
                    await publish(live, str(number), topic=topic, payload="x" * (number * 331 % 1_500))
                if number % 7 == 0:
                    await asyncio.sleep(0.003)

        work = asyncio.create_task(publishing())
        heads: dict[str, str] = {}
        async with asyncio.timeout(30):
            while not work.done() or poller.positions != heads:
                if work.done():
                    heads = {topic: await live.cursor(topic, tenant="t-1") for topic in topics}
                    if poller.positions == heads:
                        break
                await poller.once()
        for topic in topics:
            last = int(heads[topic].rpartition("-")[2])
            assert poller.events[topic] == list(range(1, last + 1))
        assert {reason for _, reason in poller.told} == {"no_cursor"}


async def test_from_a_stream_to_polls_and_back() -> None:
    async with server() as (live, http):
        seen: list[int] = []
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            await publish(live, *"ab")
            events = await stream.events(2)
            seen += offsets(events)
        await publish(live, *"cd")
        _, *events = await poll(http, [LIST], {LIST: events[-1]["cursor"]})
        seen += offsets(events)
        await publish(live, *"ef")
        async with streaming(http, f"/sse?topics={LIST}&since={LIST}={events[-1]['cursor']}") as stream:
            await stream.frame()
            seen += offsets(await stream.events(2))
        assert seen == [1, 2, 3, 4, 5, 6]


async def test_exclude_by_user_holds() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        await publish(live, "own", exclude=Exclude(user="ana"))
        [cursor] = await publish(live, "of others")
        _, *events = await poll(http, [LIST], {LIST: start})
        assert [event["cursor"] for event in events] == [cursor]


# Who may, and what is refused.


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"json": {"topics": [LIST]}, "headers": {"Authorization": ""}}, 401, "unauthorized"),
        ({"json": {"topics": [LIST]}, "headers": {"Authorization": "Bearer rubbish"}}, 401, "unauthorized"),
        ({"json": {"topics": [LIST]}, "headers": {"Origin": "https://evil.example"}}, 403, "origin_forbidden"),
        ({"json": {"topics": []}}, 400, "bad_frame"),
        ({"json": {}}, 400, "bad_frame"),
        ({"json": {"topics": [LIST], "since": []}}, 400, "bad_frame"),
        ({"json": {"topics": [LIST], "id": "x" * 65}}, 400, "bad_frame"),
        ({"json": {"topics": [LIST], "presence": True}}, 400, "no_presence"),
        ({"json": {"type": "publish", "topic": LIST, "event": "UPDATED", "data": {}}}, 400, "bad_frame"),
        ({"json": {"type": "publish", "topics": [LIST]}}, 400, "bad_frame"),
        ({"json": {"topics": [f"gift-list:{number}" for number in range(101)]}}, 400, "too_many_topics"),
        ({"json": {"topics": ["x" * 140_000]}}, 413, "body_too_large"),
        ({"content": "{", "headers": {"Content-Type": "application/json"}}, 400, "bad_json"),
        ({"content": b'{"topics":["\xff"]}', "headers": {"Content-Type": "application/json"}}, 400, "bad_json"),
        ({"content": "[" * 60_000, "headers": {"Content-Type": "application/json"}}, 400, "bad_frame"),
        ({"content": '{"topics":["a:1"]}', "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_media_type"),
        (
            {"content": "{}", "headers": {"Content-Type": "application/json", "Content-Encoding": "gzip"}},
            415,
            "unsupported_media_type",
        ),
    ],
)
async def test_refusals_are_a_status_with_the_same_codes(options: dict[str, Any], status: int, code: str) -> None:
    async with server() as (live, http):
        answer = await http.post("/poll", **options)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
        assert live.node.statistics()["sockets"] == 0


async def test_refused_topics_and_wildcards_are_told_at_once_and_the_rest_is_answered() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        frames = await poll(http, ["gift-list:*", "other:1", "gifts", LIST], {LIST: start})
        errors = {frame["topic"]: frame["code"] for frame in frames[:-1]}
        assert errors == {"gift-list:*": "bad_topic", "other:1": "forbidden", "gifts": "bad_topic"}
        assert frames[-1]["topics"] == {LIST: {"cursor": start, "recovered": True}}


async def test_another_tenants_topic_is_another_topic() -> None:
    async with server(QUICK) as (live, http):
        start = await live.cursor(LIST, tenant="t-2")
        http.headers.update(bearer(tenant="t-2"))
        asked = asyncio.create_task(poll(http, [LIST], {LIST: start}))
        await held(live)
        await publish(live, "secret")
        [answer] = await asked
        assert answer["topics"][LIST] == {"cursor": start, "recovered": True}


async def test_held_polls_count_as_connections_of_their_user_and_go_with_who_goes() -> None:
    async with server(Limits(connections_per_user=1)) as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        body = {"topics": [LIST], "since": {LIST: start}}
        asked = asyncio.create_task(http.post("/poll", json=body))
        await held(live)
        refused = await http.post("/poll", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_connections")
        assert int(refused.headers["retry-after"]) >= 1
        asked.cancel()  # closes its socket
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while live.node.statistics()["connections"]:
                await asyncio.sleep(0.005)
        assert len(await poll(http, [LIST])) == 1


async def test_the_right_is_asked_for_at_each_poll_and_remembered_for_a_moment() -> None:
    asked: list[str] = []
    allowed = True

    def may_see(_identity: object, list_id: str) -> bool:
        asked.append(list_id)
        return allowed

    async with server(authorize={"wish:{list_id}": may_see}) as (_, http):
        await poll(http, ["wish:1"])
        await poll(http, ["wish:1"])
        assert asked == ["1"]
        await poll(http, ["wish:2"])
        http.headers.update(bearer(sub="ben"))
        await poll(http, ["wish:1"])
        assert asked == ["1", "2", "1"], "another topic, and another user, are other questions"
        allowed = False
        assert [frame.get("code") for frame in await poll(http, ["wish:3"])] == ["forbidden", None]
        assert [frame.get("code") for frame in await poll(http, ["wish:3"])] == ["forbidden", None]
        assert asked[3:] == ["3", "3"], "a no is not remembered: a right that is given holds at once"


async def test_disconnect_ends_a_held_poll() -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        asked = asyncio.create_task(poll(http, [LIST], {LIST: start}))
        await held(live)
        assert await live.disconnect("ana", tenant="t-1") == 1
        assert len(await asked) == 1


# When the server is in trouble, or ends.


class AbsentBroker(MemoryBroker):
    absent = False

    async def join(self, key: TopicKey) -> None:
        if self.absent:
            raise BrokerUnavailable("away")
        await super().join(key)


async def test_a_broker_that_is_away_is_503_so_that_nobody_comes_back_at_once() -> None:
    broker = AbsentBroker(Limits(), SystemClock())
    async with server(broker=broker) as (_, http):
        broker.absent = True
        answer = await http.post("/poll", json={"topics": [LIST]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        broker.absent = False
        assert len(await poll(http, [LIST])) == 1


@pytest.mark.parametrize("ends", ["drain", "close"])
async def test_a_server_that_goes_away_answers_at_once_and_says_when_to_come_back(ends: str) -> None:
    async with server() as (live, http):
        start = await live.cursor(LIST, tenant="t-1")
        asked = asyncio.create_task(http.post("/poll", json={"topics": [LIST], "since": {LIST: start}}))
        await held(live)
        await (live.drain(0) if ends == "drain" else live.close())
        answer = await asked
        subscribed, reconnect = answer.json()["frames"]
        assert subscribed["type"] == "subscribed"
        assert reconnect == {"type": "reconnect", "topic": "system", "delay_ms": 2_000}
        assert answer.headers["connection"] == "close", "the next poll must reach another server"


async def test_a_body_that_never_ends_holds_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from tidings.transports import asked

    monkeypatch.setattr(asked, "BODY_SECONDS_MAX", 0.2)
    async with server() as (live, http):
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        head = f"POST /realtime/poll?token={token()} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            assert b" 400 " in await reader.readline()
            body = await reader.readuntil(b"}}")
        assert json.loads(body.rpartition(b"\r\n")[2])["error"]["code"] == "bad_frame"
        assert live.node.statistics()["sockets"] == 0
        writer.close()
        await writer.wait_closed()
