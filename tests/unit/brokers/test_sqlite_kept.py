"""What the SQLite broker keeps, what it drops when, and what it says of that."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.brokers.sqlite_rig import KEY, OTHER, count, started
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_file import Database
from tidings.brokers.sqlite_ledger import Ledger, StoredKey
from tidings.brokers.sqlite_reader import read_history
from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.limits import Limits
from tidings.core.recovery import judge
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import FakeClock, Recorder

DAY = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


async def test_trimming_is_bounded_in_each_commit_and_history_is_exact_meanwhile(path: Path) -> None:
    async with started(path) as broker:
        await asyncio.gather(*(broker.publish(KEY, b"{}") for _ in range(500)))
    async with started(path, history_events=5) as broker:
        cursor = (await broker.publish(KEY, b"{}")).cursor
        assert 400 < count(path, "events") < 500
        for offset, verdict in ((495, UnrecoveredReason.TRIMMED), (496, None)):
            since = Cursor(cursor.epoch, offset)
            assert judge(since, await broker.history(KEY, since, 100), 0) is verdict
        for _ in range(10):
            await broker.publish(KEY, b"{}")
        assert count(path, "events") == 5


async def test_what_age_removed_is_told_as_such_after_it_has_gone_from_the_file(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock, history_seconds=60) as broker:
        cursors = {n: (await broker.publish(TopicKey(None, f"gift:{n}"), b"{}")).cursor for n in range(200)}
        clock.advance(61)
        await broker.publish(KEY, b"{}")
        assert 100 < count(path, "events") < 200, "one commit paid for all idle topics"
        for _ in range(3):
            await broker.publish(KEY, b"{}")
        assert count(path, "events") == 4
        for n, cursor in cursors.items():
            history = await broker.history(TopicKey(None, f"gift:{n}"), Cursor(cursor.epoch, 0), 10)
            assert history.head == cursor
            assert judge(Cursor(cursor.epoch, 0), history, 0) is UnrecoveredReason.EXPIRED


async def test_sequences_are_not_given_again_when_the_newest_event_expires(path: Path) -> None:
    clock, recorder = FakeClock(), Recorder()
    async with started(path, clock, history_seconds=60) as broker:
        listener = SQLiteBroker(path, Limits(history_seconds=60), clock)
        await listener.start(recorder)
        await listener.join(KEY)
        for body in (b"1", b"2", b"3"):
            await broker.publish(KEY, body)
            await recorder.until(body, KEY)
            clock.advance(61)  # the next commit finds the file empty, and starts with this body's successor
        await listener.close()
    assert recorder.bodies(KEY) == [b"1", b"2", b"3"]


async def test_an_unused_topic_is_forgotten_after_a_day_and_one_in_use_is_not(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock) as broker:
        unused = (await broker.publish(KEY, b"{}", idempotency_key="k")).cursor
        read = await broker.head(OTHER)
        clock.advance(DAY / 2)
        assert await broker.head(OTHER) == read  # as the node's check of positions does, all the time
        clock.advance(DAY / 2 + 1)
        for n in range(3):
            await broker.publish(TopicKey(None, f"gift:{n}"), b"{}")
        assert await broker.head(OTHER) == read
        fresh = await broker.head(KEY)
    assert fresh.epoch != unused.epoch and fresh.offset == 0


async def test_a_topic_that_is_used_after_a_long_time_keeps_its_position(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock) as broker:
        first, read = await broker.head(KEY), await broker.head(OTHER)
        clock.advance(2 * DAY)  # nothing was written meanwhile, so nothing was swept
        assert await broker.head(OTHER) == read
        assert (await broker.publish(KEY, b"{}")).cursor == Cursor(first.epoch, 1)
        assert await broker.head(OTHER) == read


async def test_without_bounds_nothing_is_dropped(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock, history_events=0, history_seconds=0, idempotency_seconds=0) as broker:
        first = (await broker.publish(KEY, b"{}", idempotency_key="k")).cursor
        await asyncio.gather(*(broker.publish(KEY, b"{}") for _ in range(1_499)))
        clock.advance(100 * DAY)
        assert await broker.publish(KEY, b"{}", idempotency_key="k") == Stored(first, repeated=True)
        assert len((await broker.history(KEY, Cursor(first.epoch, 0), 0)).publications) == 1_500


async def test_events_of_a_clock_that_was_wrong_do_not_stand_in_the_way_for_years(path: Path) -> None:
    async with started(path, FakeClock(datetime(2036, 1, 1, tzinfo=UTC))) as broker:
        await broker.publish(KEY, b"{}")
    async with started(path) as broker:
        await broker.publish(OTHER, b"{}")
        assert count(path, "events") == 1


async def test_head_and_events_are_of_one_moment(path: Path) -> None:
    async with started(path) as broker:
        first = (await broker.publish(KEY, b"1")).cursor
    limits, key = Limits(history_seconds=0), StoredKey.of(KEY)
    with (
        closing(Database(path).open(threading.Event())) as reading,
        closing(Database(path).open(threading.Event())) as writing,
    ):
        published: list[Stored] = []

        def publish_between(statement: str) -> None:
            if "FROM events" in statement:
                writing.execute("BEGIN IMMEDIATE")
                ledger = Ledger(writing, limits, 0, lambda: "unused")
                published.append(ledger.publish(key, b"2", None, None))
                ledger.finish()
                writing.execute("COMMIT")

        reading.set_trace_callback(publish_between)
        known = read_history(reading, limits, key, Cursor(first.epoch, 0), 10, 0)
    assert published == [Stored(Cursor(first.epoch, 2))], "nothing came between: the test shows nothing"
    assert known is not None
    assert known.history.head == first and [p.body for p in known.history.publications] == [b"1"]


async def test_a_key_that_has_ended_is_free_though_it_was_not_swept_yet(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock) as broker:
        for n in range(200):
            await broker.publish(OTHER, b"{}", idempotency_key=f"older-{n}")
        clock.advance(1)
        first = (await broker.publish(KEY, b"1", idempotency_key="k")).cursor
        clock.advance(601)
        assert await broker.publish(KEY, b"1", idempotency_key="k") == Stored(Cursor(first.epoch, 2))
        assert 100 < count(path, "idempotency") < 200, "one commit paid for all keys, or none was swept"
