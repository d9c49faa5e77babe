"""What one stream writes, and when: on a loop whose clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any

import msgspec

from tests.streams import EventSourceParser
from tidings.core.codes import CloseCode
from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.frames import Pong, Subscribed, TopicAnswer
from tidings.core.framing import Framed, sse_record
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.testing.virtual import run_virtual
from tidings.transports.sse import BURST_FACTOR, COMMENT_SECONDS, PADDING, SLOW_SECONDS, SseSink

TOPIC = "gift-list:1"


def publication(offset: int, size_bytes: int = 0) -> Publication:
    body = msgspec.json.encode({"topic": TOPIC, "event": "X", "data": {"entity_id": "e", "payload": "x" * size_bytes}})
    return Publication(TopicKey(None, TOPIC), Cursor("k3f9", offset), body, None)


class Wire:
    """An ASGI ``send`` that can be stopped like a peer that does not read."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.bodies: list[bytes] = []
        self.ended = False
        self.slow = 0
        self.reading = asyncio.Event()
        self.reading.set()
        self.sink = SseSink(self.send, limits or Limits(), self._on_slow)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        await self.reading.wait()
        assert not self.ended, "written after the end"
        self.bodies.append(message["body"])
        self.ended = not message["more_body"]

    def _on_slow(self) -> None:
        self.slow += 1
        self.sink.close(CloseCode.TOO_SLOW, "too slow")

    @property
    def text(self) -> str:
        return b"".join(self.bodies).decode()

    def push(self, count: int, size_bytes: int = 0) -> None:
        for offset in range(count):
            self.sink.push(Framed(publication(offset + 1, size_bytes)))


def on_wire(work: Callable[[Wire], Coroutine[Any, Any, None]], limits: Limits | None = None) -> Wire:
    """Run a test's steps; the wire, with what was written."""

    async def run() -> Wire:
        wire = Wire(limits)
        try:
            await work(wire)
        finally:
            wire.sink.gone()
        return wire

    return run_virtual(run())


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_record_is_made_once_for_all_streams() -> None:
    framed = Framed(publication(1))
    assert framed.sse is framed.sse
    assert framed.sse == b"data: " + framed.json + b"\n\n"


def test_line_breaks_between_json_tokens_begin_no_field() -> None:
    raw = Publication(TopicKey(None, TOPIC), Cursor("k3f9", 1), b'{"a":{\n\ndata: \r1\r\n:2}}', None)
    assert Framed(raw).sse.count(b"\n") == 2 and b"\r" not in Framed(raw).sse
    assert sse_record(b'{\n"a"\r:1}') == b'data: { "a" :1}\n\n'


def test_nothing_is_written_before_the_response_has_begun_and_then_in_order() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.send(Pong().encode())
        await settled()
        assert wire.bodies == []
        wire.sink.begin(with_ids=False)
        wire.push(2)
        await settled()

    wire = on_wire(work)
    assert wire.text.startswith(PADDING.decode())
    parser = EventSourceParser()
    assert [record.frame.get("cursor") for record in parser.feed(b"".join(wire.bodies))] == [None, "k3f9-1", "k3f9-2"]
    assert len(wire.bodies) == 1, "what one turn of the loop brings leaves in one write"


def test_comments_come_after_so_much_silence_and_only_then() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        for _ in range(10):
            await asyncio.sleep(COMMENT_SECONDS - 1)
            wire.push(1)
        assert "still here" not in wire.text
        await asyncio.sleep(COMMENT_SECONDS + 1)
        assert wire.text.count("still here") == 1
        before = wire.sink.pushed_count
        await asyncio.sleep(10 * COMMENT_SECONDS)
        assert wire.text.count("still here") == 11
        assert wire.sink.pushed_count == before, "for the session a comment is silence"

    on_wire(work)


def test_a_heartbeat_that_is_set_below_counts_for_comments_too() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await asyncio.sleep(5.5)
        assert wire.text.count("still here") == 1

    on_wire(work, Limits(heartbeat_seconds=5))


def test_a_reader_that_stalls_is_slow_after_a_while() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await settled()
        wire.reading.clear()
        wire.push(3, 1_000)
        await asyncio.sleep(SLOW_SECONDS - 0.1)
        assert wire.slow == 0
        await asyncio.sleep(0.2)
        assert wire.slow == 1

    on_wire(work, Limits(backlog_bytes=2_000))


def test_one_that_catches_up_in_time_is_not() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        for _ in range(5):
            wire.reading.clear()
            wire.push(3, 1_000)
            await asyncio.sleep(SLOW_SECONDS - 1)
            wire.reading.set()
            await settled()
        assert wire.slow == 0
        assert wire.text.count("data: ") == 15

    on_wire(work, Limits(backlog_bytes=2_000))


def test_a_backlog_far_above_the_bound_ends_at_once_and_is_dropped() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await settled()
        wire.reading.clear()
        wire.push(3 * BURST_FACTOR, 1_000)
        assert wire.slow == 1
        wire.reading.set()
        await settled()
        assert wire.ended and wire.text.count("data: ") <= 1 + 1, "what was under way, and the last record"
        assert 'event: close\ndata: {"code":4503,"reason":"too slow"}' in wire.text

    on_wire(work, Limits(backlog_bytes=2_000))


def test_0_is_no_bound() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await settled()
        wire.reading.clear()
        wire.push(100, 1_000)
        await wire.sink.drained()
        await asyncio.sleep(2 * SLOW_SECONDS)
        assert wire.slow == 0

    on_wire(work, Limits(backlog_bytes=0))


def test_pages_wait_until_the_backlog_has_drained() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await settled()
        wire.reading.clear()
        wire.push(3, 1_000)
        pages = [asyncio.create_task(wire.sink.drained()) for _ in range(2)]
        await settled()
        assert not any(page.done() for page in pages)
        wire.reading.set()
        await asyncio.wait_for(asyncio.gather(*pages), 1)

    on_wire(work, Limits(backlog_bytes=4_000))


def test_the_end_comes_after_what_waits_and_nothing_after_it() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        wire.push(2)
        wire.sink.close(CloseCode.SERVICE_RESTART, 'a "reason"\nof two lines')
        wire.sink.close(CloseCode.NORMAL, "again")
        wire.push(1)
        await asyncio.wait_for(wire.sink.finished.wait(), 1)
        await asyncio.sleep(100)

    wire = on_wire(work)
    assert wire.ended
    records = list(EventSourceParser().feed(b"".join(wire.bodies)))
    assert [record.event for record in records] == ["message", "message", "close"]
    assert records[-1].frame == {"code": 1012, "reason": 'a "reason"\nof two lines'}


def test_who_does_not_take_the_end_is_dropped() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=False)
        await settled()
        wire.reading.clear()
        wire.push(1)
        wire.sink.close(CloseCode.SERVICE_RESTART, "")
        await settled()
        assert not wire.sink.finished.is_set()
        await asyncio.wait_for(wire.sink.finished.wait(), 6)

    on_wire(work)


def test_a_write_that_fails_ends_the_stream() -> None:
    class Broken(Wire):
        async def send(self, message: MutableMapping[str, Any]) -> None:
            raise LookupError("as some middleware might")

    async def run() -> None:
        wire = Broken()
        wire.sink.begin(with_ids=False)
        await asyncio.wait_for(wire.sink.finished.wait(), 1)
        wire.sink.gone()

    run_virtual(run())


def test_the_id_stands_before_the_shared_record() -> None:
    async def work(wire: Wire) -> None:
        wire.sink.begin(with_ids=True)
        wire.sink.send(Subscribed(topics={TOPIC: TopicAnswer(cursor="k3f9-0", recovered=True)}).encode())
        wire.push(1)
        await settled()

    wire = on_wire(work)
    assert f"\n\nid: {TOPIC}=k3f9-1\ndata: {{" in wire.text
