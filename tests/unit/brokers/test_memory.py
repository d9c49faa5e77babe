"""What the memory broker bounds, beyond the contract that tests/conformance holds it to."""

from __future__ import annotations

import re

import pytest

from tidings.brokers import broker_from_url, memory
from tidings.brokers.memory import MemoryBroker, random_epoch
from tidings.core.cursor import Cursor
from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import FakeClock, Recorder

KEY = TopicKey(None, "gift-list:1")
OTHER = TopicKey(None, "gift-list:2")


def make(clock: FakeClock, **limits: int) -> MemoryBroker:
    return MemoryBroker(Limits(**limits), clock)


async def test_a_topic_without_listeners_is_evicted_and_comes_back_under_a_fresh_epoch() -> None:
    clock = FakeClock()
    broker = make(clock, history_seconds=60, idempotency_seconds=60)
    old = (await broker.publish(KEY, b"{}")).cursor
    clock.advance(61)
    await broker.head(OTHER)
    assert broker.statistics()["topics"] == 1
    new = await broker.head(KEY)
    assert new.epoch != old.epoch and new.offset == 0


@pytest.mark.parametrize("joined", [KEY, KEY.wildcard])
async def test_a_topic_with_listeners_is_kept(joined: TopicKey) -> None:
    clock = FakeClock()
    broker = make(clock, history_seconds=60, idempotency_seconds=60)
    await broker.start(Recorder())
    await broker.join(joined)
    cursor = (await broker.publish(KEY, b"{}")).cursor
    for _ in range(3):
        clock.advance(61)
        await broker.head(OTHER)
    assert await broker.head(KEY) == cursor
    await broker.leave(joined)
    clock.advance(61)
    assert (await broker.head(KEY)).epoch != cursor.epoch


async def test_known_keys_outlive_a_shorter_history() -> None:
    clock = FakeClock()
    broker = make(clock, history_seconds=60, idempotency_seconds=600)
    first = (await broker.publish(KEY, b"{}", idempotency_key="k")).cursor
    for _ in range(9):
        clock.advance(61)
        await broker.head(OTHER)
    assert await broker.publish(KEY, b"{}", idempotency_key="k") == Stored(first, repeated=True)


async def test_without_bounds_nothing_is_dropped() -> None:
    clock = FakeClock()
    broker = make(clock, history_seconds=0, history_events=0)
    for _ in range(1_500):
        await broker.publish(KEY, b"{}")
    clock.advance(1_000_000)
    head = await broker.head(KEY)
    assert len((await broker.history(KEY, Cursor(head.epoch, 0), 0)).publications) == 1_500


async def test_the_number_of_known_keys_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "IDEMPOTENCY_KEYS_PER_TOPIC_MAX", 3)
    broker = make(FakeClock())
    for number in range(4):
        await broker.publish(KEY, b"{}", idempotency_key=f"k{number}")
    assert (await broker.publish(KEY, b"{}", idempotency_key="k3")).repeated
    assert not (await broker.publish(KEY, b"{}", idempotency_key="k0")).repeated


async def test_many_idle_topics_are_let_go_a_few_at_a_time() -> None:
    clock = FakeClock()
    broker = make(clock, history_seconds=60, idempotency_seconds=60)
    for number in range(200):
        await broker.publish(TopicKey(None, f"gift:{number}"), b"{}")
    clock.advance(61)
    await broker.publish(KEY, b"{}")
    assert 100 < broker.statistics()["topics"] < 200
    for _ in range(4):
        await broker.publish(KEY, b"{}")
    assert broker.statistics()["topics"] == 1


async def test_an_event_of_a_topic_held_by_name_and_by_type_is_told_once() -> None:
    broker, recorder = make(FakeClock()), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    await broker.join(KEY.wildcard)
    await broker.publish(KEY, b"{}")
    assert len(recorder.publications) == 1


def test_epochs_are_random_and_of_the_wire() -> None:
    epochs = {random_epoch() for _ in range(1_000)}
    assert len(epochs) == 1_000
    assert all(re.fullmatch(r"[a-z0-9]{1,32}", epoch) for epoch in epochs)


def test_broker_from_url() -> None:
    assert isinstance(broker_from_url("memory", Limits(), FakeClock()), MemoryBroker)
    with pytest.raises(UsageError, match="broker 'redis' is not supported; use memory") as refused:
        broker_from_url("redis://:secret@host", Limits(), FakeClock())
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)
