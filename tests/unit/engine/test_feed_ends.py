"""Feeds whose beginning fails, and subscriptions that are left at a bad moment: the simulation found them first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.engine.rig import FaultyBroker, RecordingSink, Rig, started
from tidings.brokers.memory import MemoryBroker
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Publication
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.testing.virtual import run_virtual

LIST = "gift-list:1"
LINGER_SECONDS = 3


class HeadFails(FaultyBroker):
    """The broker fails between the join and the head, so many times."""

    fails = 1

    async def head(self, key: TopicKey) -> Any:
        if self.fails:
            self.fails -= 1
            raise BrokerUnavailable("it went away after the join")
        return await super().head(key)


class LeaveIsBroken(FaultyBroker):
    """The broker has a bug of its own."""

    async def leave(self, key: TopicKey) -> None:
        raise RuntimeError("ends the test")


class DeafBroker(FaultyBroker):
    """Its live messages are lost while it is deaf."""

    deaf = False

    def received(self, publication: Publication) -> None:
        if not self.deaf:
            super().received(publication)


class HeadIsBroken(FaultyBroker):
    """The broker has a bug of its own, and of one topic it says nothing at all."""

    async def head(self, key: TopicKey) -> Any:
        if key.topic == LIST:
            raise RuntimeError("ends the test")
        await asyncio.Event().wait()


def on_node(test: Callable[[Rig], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with started(**options) as rig:
            await test(rig)

    run_virtual(run())


def nothing_is_left(rig: Rig) -> bool:
    return not any(rig.node.statistics().values())


def test_a_head_that_could_not_be_read_is_read_by_the_next_who_asks() -> None:
    async def test(rig: Rig) -> None:
        first, second = rig.client("ana"), rig.client("ben")
        for client in (first, second):
            client.send(type="subscribe", topics=[LIST], id=1)
            await client.answer(1)
        await asyncio.sleep(2)
        await rig.publish(LIST, 1)
        await rig.settle()
        assert (first.offsets, second.offsets) == ([1], [1])
        assert first.sink.closed is second.sink.closed is None

    on_node(test, wrap=lambda inner: HeadFails(inner, [0], ["pass"]))


@pytest.mark.parametrize("turns", range(12))
def test_left_before_its_turn_and_then_gone_nothing_is_held(turns: int) -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await client.until(lambda: client.of("welcome"))
        client.send(type="subscribe", topics=[LIST, "gift-list:2"], id=1)
        await rig.settle(turns)
        client.send(type="unsubscribe", topics=[LIST], id=2)
        await rig.settle(4)
        client.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        assert nothing_is_left(rig), rig.node.statistics()

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [60], ["pass"]))


def test_left_while_its_page_waited_for_room_no_feed_comes_back() -> None:
    async def test(rig: Rig) -> None:
        start = str(await rig.broker.head(TopicKey(None, LIST)))
        for number in range(6):
            await rig.publish(LIST, number)
        client = rig.client(sink=RecordingSink())
        client.sink.drain = asyncio.Event()  # nothing is read
        client.send(type="subscribe", topics=[LIST], since={LIST: start}, id=1)
        await client.answer(1)
        client.send(type="unsubscribe", topics=[LIST], id=2)
        await asyncio.sleep(LINGER_SECONDS)
        client.sink.drain.set()
        await rig.settle()
        client.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        assert nothing_is_left(rig), rig.node.statistics()

    on_node(test, limits=Limits(page_events=2))


def test_a_topic_that_only_a_wildcard_knows_goes_with_the_wildcard(caplog: pytest.LogCaptureFixture) -> None:
    async def test(rig: Rig) -> None:
        wild, other = rig.client("ana"), rig.client("ben")
        wild.send(type="subscribe", topics=["gift-list:*"], id=1)
        await wild.answer(1)
        await rig.publish(LIST, 1)
        other.send(type="subscribe", topics=[LIST], id=1)
        other.send(type="unsubscribe", topics=[LIST], id=2)  # before the rules have answered
        await asyncio.sleep(LINGER_SECONDS)
        wild.connection.gone()
        other.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        assert nothing_is_left(rig), rig.node.statistics()

    on_node(test)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_position_of_a_life_that_this_node_has_not_heard_of_is_looked_up_once() -> None:
    """The data were wiped behind this node's back, and a client brings a position of the new life."""

    async def test(rig: Rig) -> None:
        before = rig.client("ana")
        before.send(type="subscribe", topics=[LIST], id=1)
        await before.answer(1)
        await rig.publish(LIST, 1)
        broker = rig.broker
        assert isinstance(broker, FaultyBroker)
        assert isinstance(broker.inner, MemoryBroker)
        broker.inner._topics.clear()
        start = str(await broker.inner.head(TopicKey(None, LIST)))
        after = rig.client("ben")
        after.send(type="subscribe", topics=[LIST], since={LIST: start}, id=1)
        await after.answer(1)
        assert asyncio.get_running_loop().time() < 1
        await rig.settle()
        assert before.of("subscribed")[-1]["topics"][LIST]["reason"] == "epoch_changed"
        await rig.publish(LIST, 2)
        await after.until(lambda: after.offsets == [1])
        await before.until(lambda: before.offsets == [1, 1])

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [1], ["pass"]))


def test_a_topic_whose_reading_fails_ends_the_session_and_the_reading_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        client.send(type="subscribe", topics=[LIST, "gift-list:2"], id=1)
        await client.until(lambda: client.sink.closed)
        assert client.sink.closed == (1011, "internal error")
        client.connection.gone()
        await rig.settle()
        assert len(asyncio.all_tasks()) == 1

    on_node(test, wrap=lambda inner: HeadIsBroken(inner, [0], ["pass"]))
    assert "ends the test" in caplog.text


def test_a_feed_that_nobody_needs_any_more_delivers_nothing_when_the_broker_is_back() -> None:
    """It was reading its history when the last one left; the next one has another feed, and must not hear of it."""

    async def test(rig: Rig) -> None:
        broker = rig.broker
        assert isinstance(broker, DeafBroker)
        first = rig.client("ana")
        first.send(type="subscribe", topics=[LIST], id=1)
        await first.answer(1)
        broker.deaf = True
        for number in range(3):
            await rig.publish(LIST, number)
        broker.down = True
        broker.interrupted()  # the feed looks for what it missed, and the broker does not answer
        await asyncio.sleep(1)
        first.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        broker.down = broker.deaf = False
        second = rig.client("ben")
        second.send(type="subscribe", topics=[LIST], id=1)
        assert (await second.answer(1))["topics"][LIST]["cursor"].endswith("-3")
        await asyncio.sleep(10)
        assert second.offsets == []

    on_node(test, wrap=lambda inner: DeafBroker(inner, [0], ["pass"]))


def test_a_feed_whose_leaving_fails_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        client.send(type="subscribe", topics=[LIST], id=1)
        await client.answer(1)
        client.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        assert nothing_is_left(rig), rig.node.statistics()

    on_node(test, wrap=lambda inner: LeaveIsBroken(inner, [0], ["pass"]))
    assert "ends the test" in caplog.text


def test_a_wildcard_goes_on_where_it_stands_when_the_one_by_name_has_left() -> None:
    async def test(rig: Rig) -> None:
        broker = rig.broker
        assert isinstance(broker, FaultyBroker)
        wild, named = rig.client("ana"), rig.client("ben")
        wild.send(type="subscribe", topics=["gift-list:*"], id=1)
        named.send(type="subscribe", topics=[LIST], id=1)
        await wild.answer(1)
        await named.answer(1)
        for number in range(3):
            await rig.publish(LIST, number)
        await rig.settle()
        named.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        key = TopicKey(None, LIST)
        start = Cursor((await broker.inner.head(key)).epoch, 0)
        known = await broker.inner.history(key, start, 0)
        broker.received(known.publications[0])  # a message that took its time
        await rig.publish(LIST, 3)
        await rig.settle()
        assert wild.offsets == [1, 2, 3, 4]
        wild.connection.gone()
        await asyncio.sleep(LINGER_SECONDS)
        assert nothing_is_left(rig), rig.node.statistics()

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [0], ["pass"]))


@pytest.mark.parametrize(("since", "told", "start"), [(2, "unavailable", 2), (3, "too_many", 6)])
def test_where_it_starts_is_never_below_what_the_client_has(since: int, told: str, start: int) -> None:
    """This node has heard of one event only, and the client has got more of them elsewhere."""

    async def test(rig: Rig) -> None:
        broker = rig.broker
        assert isinstance(broker, DeafBroker)
        other = rig.client("ana")
        other.send(type="subscribe", topics=[LIST], id=1)
        await other.answer(1)
        await rig.publish(LIST, 1)
        broker.deaf = True
        for number in range(2, since + 1 if told == "unavailable" else 7):
            cursor = await rig.publish(LIST, number)
        broker.down = told == "unavailable"
        client = rig.client("ben")
        epoch = cursor.partition("-")[0]
        client.send(type="subscribe", topics=[LIST], since={LIST: f"{epoch}-{since}"}, id=1)
        await client.answer(1)
        broker.down = broker.deaf = False
        await asyncio.sleep(5)
        answer = client.of("subscribed")[-1]["topics"][LIST]
        assert (answer["cursor"], answer["reason"]) == (f"{epoch}-{start}", told)
        await asyncio.sleep(25)
        assert client.offsets == []

    limits = Limits(recovery_events=2)
    on_node(test, limits=limits, wrap=lambda inner: DeafBroker(inner, [0], ["pass"]))


def test_more_is_held_than_a_page_and_than_history_keeps() -> None:
    """Then it is told once, and live from there; it was told again and again, without end."""

    async def test(rig: Rig) -> None:
        start = str(await rig.broker.head(TopicKey(None, LIST)))
        for number in range(2):
            await rig.publish(LIST, number)
        client = rig.client(sink=RecordingSink())
        client.sink.drain = asyncio.Event()  # nothing is read, after the first page
        client.send(type="subscribe", topics=[LIST], since={LIST: start}, id=1)
        await client.answer(1)
        for number in range(6):
            await rig.publish(LIST, number, note="x" * 200)
        await rig.settle()
        client.sink.drain.set()
        client.sink.drain = None
        await rig.settle()
        assert [one["topics"][LIST]["reason"] for one in client.of("subscribed")[1:]] == ["trimmed"]
        await rig.publish(LIST, 9)
        await rig.settle()
        assert client.offsets[-1] == 9

    on_node(test, limits=Limits(history_events=2, page_events=1, page_bytes=500, hold_bytes=10_000))
