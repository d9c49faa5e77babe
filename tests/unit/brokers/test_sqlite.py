"""What the SQLite broker keeps, for how long, and in how many commits, beyond the contract of tests/conformance."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidings import Tidings
from tidings.brokers import broker_from_url, sqlite_file, sqlite_reader
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_file import Database
from tidings.brokers.sqlite_ledger import StoredKey
from tidings.brokers.sqlite_reader import Tail
from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.core.recovery import judge
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import FakeClock, Recorder

KEY = TopicKey(None, "gift-list:1")
OTHER = TopicKey(None, "gift-list:2")
DAY = 86_400


@asynccontextmanager
async def started(path: Path, clock: FakeClock | None = None, **limits: int) -> AsyncIterator[SQLiteBroker]:
    broker = SQLiteBroker(path, Limits(**limits), clock or FakeClock())
    await broker.start(Recorder())
    try:
        yield broker
    finally:
        await broker.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that writers carry out, as SQLite itself reports it."""
    seen: list[str] = []
    real = sqlite_file.connect

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        if threading.current_thread().name.endswith("writer"):
            connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connect)
    return seen


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


# A restart.


async def test_history_epoch_and_excludes_survive_a_restart(path: Path) -> None:
    async with started(path) as broker:
        first = (await broker.publish(KEY, b"1", exclude=Exclude(user="u-1"))).cursor
    async with started(path) as broker:
        assert await broker.head(KEY) == first
        assert (await broker.publish(KEY, b"2")).cursor == Cursor(first.epoch, 2)
        history = await broker.history(KEY, Cursor(first.epoch, 0), 10)
    assert [(p.body, p.exclude) for p in history.publications] == [(b"1", Exclude(user="u-1")), (b"2", None)]


async def test_an_epoch_made_by_a_head_survives_a_restart(path: Path) -> None:
    async with started(path) as broker:
        head = await broker.head(KEY)
    async with started(path) as broker:
        assert await broker.head(KEY) == head


async def test_idempotency_keys_survive_a_restart_and_end_by_the_wall_clock(path: Path) -> None:
    clock = FakeClock()
    async with started(path, clock) as broker:
        first = (await broker.publish(KEY, b"1", idempotency_key="k")).cursor
    clock.advance(599)
    async with started(path, clock) as broker:
        assert await broker.publish(KEY, b"1", idempotency_key="k") == Stored(first, repeated=True)
    clock.advance(2)
    async with started(path, clock) as broker:
        assert await broker.publish(KEY, b"1", idempotency_key="k") == Stored(Cursor(first.epoch, 2))
        await broker.publish(OTHER, b"1")
    assert count(path, "idempotency") == 1, "the key that ended was not swept, or its successor was"


async def test_two_lives_made_in_one_second_differ(tmp_path: Path) -> None:
    epochs = set()
    for number in range(5):
        async with started(tmp_path / f"{number}.db") as broker:
            epochs.add((await broker.head(KEY)).epoch)
    assert len(epochs) == 5


async def test_a_closed_broker_can_be_started_again_and_leaves_no_thread(path: Path) -> None:
    before, broker, recorder = threading.active_count(), SQLiteBroker(path, Limits(), FakeClock()), Recorder()
    for number in (1, 2):
        await broker.start(recorder)
        assert threading.active_count() == before + 3
        await broker.join(KEY)
        assert (await broker.publish(KEY, b"%d" % number)).cursor.offset == number
        await recorder.until(b"%d" % number, KEY)
        await broker.close()
        assert threading.active_count() == before
        assert [p.name for p in path.parent.iterdir()] == [path.name], "something was left beside the file"
        with pytest.raises(BrokerUnavailable, match="closed"):
            await broker.publish(KEY, b"{}")
        with pytest.raises(BrokerUnavailable, match="closed"):
            await broker.head(KEY)


async def test_what_waits_at_close_is_stored(path: Path) -> None:
    async with started(path) as broker:
        await broker.head(KEY)
        publishing = [asyncio.create_task(broker.publish(KEY, b"{}")) for _ in range(50)]
        await asyncio.sleep(0)  # each has asked
    stored = await asyncio.gather(*publishing)
    async with started(path) as broker:
        assert (await broker.head(KEY)).offset == len(stored) == 50


async def test_an_application_keeps_its_cursors_over_a_restart(path: Path) -> None:
    cursors = []
    for _ in range(2):
        live = Tidings(secret="s" * 32, broker=f"sqlite:///{path}")
        await live.start()
        cursors.append(Cursor.parse(await live.publish("gift-list:1", "UPDATED", entity_id="gift-7")))
        await live.close()
    assert cursors[1] == (cursors[0].epoch, 2)


# On the disk, in few commits.


async def test_an_event_is_on_the_disk_before_it_is_answered(path: Path) -> None:
    async with started(path) as broker:
        await broker.publish(KEY, b"1")
        assert count(path, "events") == 1
        with closing(Database(path).open(threading.Event())) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "not FULL: a power cut would lose it"
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_64_publishers_share_commits(path: Path, statements: list[str]) -> None:
    async with started(path) as broker:
        statements.clear()

        async def publisher(number: int) -> None:
            for n in range(25):
                await broker.publish(TopicKey(None, f"gift:{number % 7}"), b'{"n":%d}' % n)

        await asyncio.gather(*(publisher(number) for number in range(64)))
        commits = statements.count("COMMIT")
        assert broker.statistics()["events_stored"] == count(path, "events") == 64 * 25
        assert 0 < commits <= 64 * 25 / 16, f"{commits} commits for {64 * 25} events"


async def test_all_that_waits_when_a_commit_ends_goes_into_the_next(path: Path, statements: list[str]) -> None:
    async with started(path) as broker:
        await broker.publish(KEY, b"{}")
        statements.clear()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            publishing = [asyncio.create_task(broker.publish(KEY, b"{}")) for _ in range(64)]
            await asyncio.sleep(0)  # each has asked
            other.execute("COMMIT")
        await asyncio.gather(*publishing)
        assert 1 <= statements.count("COMMIT") <= 2, "the one that waited for the lock, and the next"


async def test_one_alone_is_one_commit(path: Path, statements: list[str]) -> None:
    async with started(path) as broker:
        statements.clear()
        for number in range(1, 6):
            await broker.publish(KEY, b"{}", idempotency_key=str(number))
            assert statements.count("COMMIT") == number


# What is kept.


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


# Names.


@pytest.mark.parametrize("tenant", [None, "", ":", "a", "\0", "\ud800", "\u00e9", "e\u0301"])
def test_a_stored_key_is_the_key(tenant: str | None) -> None:
    key = TopicKey(tenant, "gift-list:1")
    assert StoredKey.of(key).key == key
    assert StoredKey.of(key).wildcard == StoredKey.of(key.wildcard)


async def test_any_text_can_be_a_key_or_an_exclude(path: Path) -> None:
    exclude = Exclude(user="\ud800", session="\0")
    async with started(path) as broker:
        cursors = [(await broker.publish(KEY, b"{}", idempotency_key=k)).cursor for k in ("\0", "\0\0", "\ud800", "?")]
        assert [c.offset for c in cursors] == [1, 2, 3, 4]
        await broker.publish(KEY, b"{}", exclude=exclude)
        assert (await broker.history(KEY, cursors[-1], 10)).publications[0].exclude == exclude


def test_the_file_is_its_owners_alone(path: Path) -> None:
    Database(path).open(threading.Event()).close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_broker_from_url_takes_relative_and_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for url in ("sqlite:///events.db", f"sqlite:///{tmp_path}/absolute.db"):
        broker = broker_from_url(url, Limits(), FakeClock())
        assert isinstance(broker, SQLiteBroker)
        assert list(tmp_path.glob("*.db")) == [], "a broker that is not started has made a file"
        with monkeypatch.context() as moved:
            moved.chdir(elsewhere)  # the path is that of the moment when it was given
            await broker.start(Recorder())
        await broker.close()
        made = tmp_path / url.rpartition("/")[2]
        assert made.is_file()
        made.unlink()


# What is handed on.


async def test_large_events_are_handed_on_in_pages_whole_and_in_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_reader, "_PAGE_BYTES", 20)
    monkeypatch.setattr(sqlite_reader, "_PAGE_SEQUENCES", 7)
    broker, recorder = SQLiteBroker(path, Limits(), FakeClock()), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    stored = await asyncio.gather(*(broker.publish(KEY if n % 3 else OTHER, b'{"n":%d}' % n) for n in range(200)))
    await broker.publish(KEY, b"last")
    await recorder.until(b"last", KEY)
    await broker.close()
    offsets = [p.cursor.offset for p in recorder.publications]
    assert offsets == list(range(1, len(stored) - 67 + 2))


async def test_after_trouble_with_reading_positions_are_checked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, recorder, failures = SQLiteBroker(path, Limits(), FakeClock()), Recorder(), 2
    real = Tail._look

    def look(tail: Tail) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        real(tail)

    monkeypatch.setattr(Tail, "_look", look)
    await broker.start(recorder)
    await broker.join(KEY)
    await broker.publish(KEY, b"1")
    await recorder.until(b"1", KEY)
    await broker.publish(KEY, b"2")
    await recorder.until(b"2", KEY)
    await broker.close()
    assert recorder.interruptions == 1
