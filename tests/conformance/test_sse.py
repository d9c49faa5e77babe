"""Event streams over real sockets: the promises of a WebSocket, told the way that an ``EventSource`` hears them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.over_http import LIST, publish, server
from tests.schemas import schema
from tests.streams import Stream, offsets, streaming
from tidings import Limits

FRAME = schema("frames", "serverFrame")


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

    async with server(authorize={"slow:{id}": rule}) as (_, http):
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
