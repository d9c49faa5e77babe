"""What the SQLite broker promises beyond the contract of tests/conformance: restarts, few commits, order."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.brokers.sqlite_rig import KEY, OTHER, count, started
from tidings import Tidings
from tidings.brokers import broker_from_url, sqlite_file, sqlite_reader
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_file import Database
from tidings.brokers.sqlite_ledger import StoredKey
from tidings.brokers.sqlite_reader import Tail
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import FakeClock, Recorder


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


async def test_what_was_on_its_way_at_close_is_not_told(path: Path) -> None:
    broker, recorder = SQLiteBroker(path, Limits(), FakeClock()), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    stored = await broker.publish(KEY, b"1")
    await recorder.until(b"1", KEY)
    await broker.close()
    broker._received([Publication(KEY, stored.cursor, b"late")])
    broker._restored()
    assert recorder.bodies(KEY) == [b"1"] and recorder.interruptions == 0


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
