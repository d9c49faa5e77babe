"""Rows of the failure table without sockets: the real node on virtual time, its broker late, forgetful or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.unit.engine.rig import Client, FaultyBroker, Rig, started
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import draft_from
from tidings.core.limits import Limits
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Stored
from tidings.testing.virtual import LoopClock, run_virtual

LIST = "gift-list:1"
KEY = TopicKey(None, LIST)


def on_node(test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with started(**options) as rig:
            await test(rig)

    run_virtual(run())


async def subscribed(
    client: Client, since: str | None = None, topic: str = LIST, *, frame_id: int = 1
) -> dict[str, Any]:
    fields: dict[str, Any] = {} if since is None else {"since": {topic: since}}
    client.send(type="subscribe", topics=[topic], id=frame_id, **fields)
    answer: dict[str, Any] = (await client.answer(frame_id))["topics"][topic]
    return answer


async def published(rig: Rig, count: int) -> list[str]:
    return [await rig.publish(LIST, number) for number in range(1, count + 1)]


@pytest.mark.parametrize("faults", [["pass"], ["late"], ["twice"]])
def test_f01_a_publish_at_every_step_of_a_subscribe(faults: list[str]) -> None:
    """Whichever step it falls on, it comes once, after what was missed."""

    async def at(step: int) -> None:
        async with started(wrap=lambda inner: FaultyBroker(inner, [3, 1], faults)) as rig:
            first, *_ = await published(rig, 3)
            client = rig.client()
            client.send(type="subscribe", topics=[LIST], since={LIST: first})
            for _ in range(step):
                await asyncio.sleep(0)
            await rig.publish(LIST, 4)
            await client.until(lambda: len(client.offsets) >= 3)
            await rig.settle()
            assert client.offsets == [2, 3, 4], step

    for step in range(60):
        run_virtual(at(step))


def test_f03_history_trimmed_past_the_position_is_told_and_nothing_is_replayed() -> None:
    async def test(rig: Rig) -> None:
        cursors = await published(rig, 10)
        client = rig.client()
        answer = await subscribed(client, cursors[2])
        assert answer == {"cursor": cursors[-1], "recovered": False, "reason": "trimmed"}
        await rig.settle()
        assert client.offsets == []

    on_node(test, limits=Limits(history_events=5))


class TrimmedMeanwhile(FaultyBroker):
    """Forgets the first two events of each answer between finding them and telling them."""

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        answer = await self.inner.history(key, since, limit)
        return replace(answer, publications=answer.publications[2:])


def test_f04_history_trimmed_while_it_is_read_is_told() -> None:
    async def test(rig: Rig) -> None:
        cursors = await published(rig, 10)
        client = rig.client()
        answer = await subscribed(client, cursors[2])
        assert (answer["recovered"], answer["reason"]) == (False, "trimmed")
        await rig.settle()
        assert client.offsets == []

    on_node(test, wrap=lambda inner: TrimmedMeanwhile(inner, [0], ["pass"]))


@pytest.mark.parametrize(
    ("since", "reason"), [("{other}-5", "epoch_changed"), ("{epoch}-11", "ahead")], ids=["f05", "f06"]
)
def test_f05_f06_another_epoch_or_a_position_above_the_head(since: str, reason: str) -> None:
    """The offset of the first is one that this stream has; the second is how a failover looks."""

    async def test(rig: Rig) -> None:
        *_, head = await published(rig, 10)
        client = rig.client()
        answer = await subscribed(client, since.format(epoch=head.rpartition("-")[0], other="elsewhere"))
        assert answer == {"cursor": head, "recovered": False, "reason": reason}
        await rig.settle()
        assert client.offsets == []

    on_node(test)


def test_f12_a_lost_message_is_read_before_the_next_is_delivered() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client)
        await published(rig, 9)
        await client.until(lambda: len(client.offsets) >= 9)
        assert client.offsets == [*range(1, 10)]
        assert isinstance(rig.broker, FaultyBroker) and rig.broker.lost == 6

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [0], ["drop", "drop", "pass"]))


def test_f13_a_lost_last_message_is_found_by_the_position_check() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client)
        await published(rig, 1)
        await asyncio.sleep(1)
        assert client.offsets == []
        await asyncio.sleep(2 * Limits().position_check_seconds)
        assert client.offsets == [1]

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [0], ["drop"]))


def test_f15_messages_that_come_twice_and_out_of_order() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client)
        await published(rig, 60)
        await asyncio.sleep(60)
        assert client.offsets == [*range(1, 61)]

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [5, 1, 3], ["late", "twice", "pass", "late"]))


class Down(FaultyBroker):
    """Stores nothing."""

    async def publish(self, *_: Any, **__: Any) -> Stored:
        raise BrokerUnavailable("the broker is down")


def test_f20_what_was_not_stored_is_not_delivered() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client)
        with pytest.raises(BrokerUnavailable):
            await published(rig, 1)
        await asyncio.sleep(60)
        assert client.offsets == []

    on_node(test, wrap=lambda inner: Down(inner, [0], ["pass"]))


def test_f18_a_repeat_after_the_keys_time_is_another_event() -> None:
    """The window is what the documentation says; a numbered source needs none."""

    async def test(rig: Rig) -> None:
        draft = draft_from({"topic": LIST, "event": "ADDED", "data": {"entity_id": "g-1"}})

        async def publish() -> int:
            stored = await rig.node.publisher.publish(draft, idempotency_key="key")
            return stored.cursor.offset

        assert [await publish(), await publish()] == [1, 1]
        await asyncio.sleep(Limits().idempotency_seconds - 1)
        assert await publish() == 1
        await asyncio.sleep(2)
        assert await publish() == 2

    on_node(test)


class JumpingClock(LoopClock):
    """A wall clock that is set while the server runs."""

    off_by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off_by


@pytest.mark.parametrize("hours", [-10, 10])
def test_f22_a_wall_clock_that_jumps_ends_no_session_and_prolongs_none(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token of 60 s is told of and closed when 60 s and the grace have passed, whatever the wall clock says."""
    monkeypatch.setattr("tests.unit.engine.rig.LoopClock", JumpingClock)

    async def test(rig: Rig) -> None:
        client = rig.client("ana!60")
        await subscribed(client)
        monkeypatch.setattr(JumpingClock, "off_by", timedelta(hours=hours))
        await rig.publish(LIST, 1)
        for _ in range(8):
            await asyncio.sleep(10)
            client.send(type="ping")
        assert (client.offsets, client.sink.closed) == ([1], None)
        assert [frame["code"] for frame in client.of("error")] == ["token_expired"]
        await asyncio.sleep(15)
        assert client.sink.closed is not None and client.sink.closed[0] == 4401

    on_node(test)


def test_f42_a_recovery_storm_on_one_topic_is_bounded_and_whole() -> None:
    """Three hundred come back at once: each gets what it missed, or is told that it was too much."""

    async def test(rig: Rig) -> None:
        cursors = await published(rig, 200)
        clients = [rig.client(f"u-{number}") for number in range(300)]
        for number, client in enumerate(clients):
            client.send(type="subscribe", topics=[LIST], since={LIST: cursors[number % 200]}, id=1)
        await rig.publish(LIST, 201)
        await asyncio.sleep(5)
        for number, client in enumerate(clients):
            missed = [*range(number % 200 + 2, 202)]
            answer = (await client.answer(1))["topics"][LIST]
            begun_at = int(answer["cursor"].rpartition("-")[2])
            if answer["recovered"]:
                assert len(missed) <= 151, number
            else:
                assert len(missed) > 149 and answer["reason"] == "too_many", number
                assert begun_at >= 200, number
            assert client.offsets == [*range(begun_at + 1, 202)], number

    on_node(test, limits=Limits(recovery_events=150))


@pytest.mark.parametrize("unsubscribes", [1, 3])
def test_f53_after_unsubscribed_nothing_comes(unsubscribes: int) -> None:
    """An event is on its way at every step of the leaving."""

    async def at(step: int) -> None:
        async with started() as rig:
            client = rig.client()
            await subscribed(client)
            publishing = asyncio.create_task(published(rig, 20))
            for _ in range(step):
                await asyncio.sleep(0)
            for _ in range(unsubscribes):
                client.send(type="unsubscribe", topics=[LIST], id=2)
            await publishing
            await client.answer(2)
            place = next(index for index, frame in enumerate(client.frames) if frame.get("id") == 2)
            assert all("type" in frame for frame in client.frames[place:]), step

    for step in range(30):
        run_virtual(at(step))


def test_f54_by_name_twice_and_by_wildcard_it_comes_once() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client, topic="gift-list:*")
        await subscribed(client, frame_id=2)
        await subscribed(client, frame_id=3)
        await published(rig, 5)
        await rig.settle()
        assert client.offsets == [1, 2, 3, 4, 5]

    on_node(test)


class Counting(FaultyBroker):
    """Counts what is asked of the broker."""

    def __init__(self, inner: Broker) -> None:
        super().__init__(inner, [0], ["pass"])
        self.joins = 0

    async def join(self, key: TopicKey) -> None:
        self.joins += 1
        await super().join(key)


def test_f55_a_storm_of_subscribes_is_limited_and_asks_the_broker_once() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await client.until(lambda: client.of("welcome"))
        client.send(type="subscribe", topics=[f"g:{number}" for number in range(10_000)], id=1)
        assert (await client.answer(1))["code"] == "too_many_topics"
        for number in range(3):
            topics = [f"gift-list:{number}-{index}" for index in range(100)]
            client.send(type="subscribe", topics=topics, id=f"s-{number}")
        await client.answer("s-2")
        assert [frame["code"] for frame in client.of("error")][1:] == ["too_many_subscriptions"] * (300 - 256)
        broker = rig.broker
        assert isinstance(broker, Counting)
        await client.until(lambda: broker.joins >= 256)
        for number in range(20):
            await asyncio.sleep(0.2)
            client.send(type="unsubscribe", topics=["gift-list:0-1"])
            client.send(type="subscribe", topics=["gift-list:0-1"], id=f"again-{number}")
        await client.answer("again-19")
        assert broker.joins == 256, "who comes back at once finds the feed still there"
        for _ in range(100):
            client.send(type="subscribe", topics=[LIST])
        await client.until(lambda: client.sink.closed is not None)
        assert client.sink.closed is not None and client.sink.closed[0] == 4429

    on_node(test, wrap=Counting)
