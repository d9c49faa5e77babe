"""The SQLite broker in trouble: each fault reaches those whom it concerns, and the broker goes on after it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tidings import Tidings
from tidings.brokers import broker_from_url, sqlite, sqlite_file
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_file import APPLICATION_ID, SCHEMA_VERSION
from tidings.brokers.sqlite_ledger import Ledger
from tidings.brokers.sqlite_reader import Tail
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.settings import ConfigurationError
from tidings.testing import FakeClock, Recorder

KEY = TopicKey(None, "gift-list:1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def make(path: Path) -> SQLiteBroker:
    return SQLiteBroker(path, Limits(), FakeClock())


async def test_f65_a_full_disk_refuses_publishes_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages_max = 60
    real = sqlite_file.connect

    def connect(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.execute(f"PRAGMA max_page_count = {pages_max}")
        return connection

    monkeypatch.setattr(sqlite_file, "connect", connect)
    broker, recorder = make(path), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    answers = await asyncio.gather(*(broker.publish(KEY, b"x" * 10_000) for _ in range(8)))
    refused: list[BrokerUnavailable] = []
    while not refused:
        try:
            answers.append(await broker.publish(KEY, b"x" * 10_000))
        except BrokerUnavailable as error:
            refused.append(error)
    assert "full" in str(refused[0]) and "same idempotency key" in str(refused[0])
    head = await broker.head(KEY)
    assert head.offset == len(answers) > 8, "an answered event is missing, or a refused one is there"
    assert len((await broker.history(KEY, Cursor(head.epoch, 0), 0)).publications) == len(answers)
    both = await asyncio.gather(*(broker.publish(KEY, b"x" * 50_000) for _ in range(2)), return_exceptions=True)
    assert all(isinstance(one, BrokerUnavailable) for one in both)

    pages_max = 100_000
    large = b"y" * 200_000  # no page that is free could hold it
    assert (await broker.publish(KEY, large)).cursor == Cursor(head.epoch, head.offset + 1)
    await recorder.until(large, KEY)
    await broker.close()


async def test_f66_a_foreign_lock_is_waited_for_and_then_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = make(path)
    await broker.start(Recorder())
    stored = (await broker.publish(KEY, b"1")).cursor
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        waiting = asyncio.create_task(broker.publish(KEY, b"2"))
        assert await broker.head(KEY) == stored, "a foreign writer must not stop those who read"
        other.execute("ROLLBACK")
        assert (await waiting).cursor.offset == 2

        monkeypatch.setattr(sqlite_file, "BUSY_SECONDS_MAX", 0.1)
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            with pytest.raises(BrokerUnavailable, match="another process holds its lock"):
                await broker.publish(KEY, b"3")
        other.execute("ROLLBACK")
    assert (await broker.publish(KEY, b"4")).cursor.offset == 3
    await broker.close()


async def test_a_disk_that_hangs_is_told_within_bounded_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "ANSWER_SECONDS_MAX", 0.05)
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS_MAX", 60.0)
    broker = make(path)
    await broker.start(Recorder())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(BrokerUnavailable, match="did not answer"):
                await broker.publish(KEY, b"1")
        other.execute("ROLLBACK")
    monkeypatch.setattr(sqlite, "ANSWER_SECONDS_MAX", 15.0)
    # The first may have been stored, for the lock was waited for; the others had given up before their turn.
    assert (await broker.publish(KEY, b"2")).cursor.offset <= 2
    await broker.close()


async def test_closing_does_not_wait_for_a_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS_MAX", 60.0)
    broker = make(path)
    await broker.start(Recorder())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        publishing = asyncio.create_task(broker.publish(KEY, b"1"))
        await asyncio.sleep(0)  # it has asked
        async with asyncio.timeout(10):
            await broker.close()
        with pytest.raises(BrokerUnavailable):
            await publishing


async def test_a_bug_in_one_transaction_is_not_the_end_of_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broker = make(path)
    await broker.start(Recorder())
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "finish", lambda ledger: 1 / 0)
        with pytest.raises(BrokerUnavailable, match="ZeroDivisionError"):
            await broker.publish(KEY, b"1")
    assert "a bug in the SQLite broker" in caplog.text
    assert (await broker.publish(KEY, b"2")).cursor.offset == 1
    await broker.close()


async def test_once_reading_works_again_every_position_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was read when it failed is gone: the node must not take silence for nothing new."""
    faults = [sqlite3.OperationalError("disk I/O error")]
    look = Tail._look

    def failing(self: Tail) -> None:
        if faults and self._sequence:
            raise faults[0]
        look(self)

    broker, recorder = make(path), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    await broker.publish(KEY, b"1")
    await recorder.until(b"1", KEY)
    monkeypatch.setattr(Tail, "_look", failing)
    await broker.publish(KEY, b"2")
    async with asyncio.timeout(10):
        while not any("new events cannot be read" in record.message for record in caplog.records):
            await asyncio.sleep(0.01)
    assert recorder.interruptions == 0
    faults.clear()
    await recorder.until(b"2", KEY)
    async with asyncio.timeout(10):
        while not recorder.interruptions:
            await asyncio.sleep(0.01)
    await broker.close()
    assert recorder.interruptions == 1


@pytest.mark.parametrize("replace", [True, False], ids=["replaced", "removed"])
async def test_a_file_that_was_taken_away_is_not_written_to(path: Path, replace: bool) -> None:
    broker = make(path)
    await broker.start(Recorder())
    await broker.publish(KEY, b"1")
    path.rename(path.with_name("old.db"))
    if replace:
        path.touch()
    for ask in (broker.publish(KEY, b"2"), broker.head(KEY), broker.publish(KEY, b"2")):
        with pytest.raises(BrokerUnavailable, match="removed or replaced; restart the server"):
            await ask
    await broker.close()
    assert path.exists() == replace and (not replace or path.stat().st_size == 0)


# Files that cannot be ours.


def _garbage(path: Path) -> None:
    path.write_bytes(b"name,age\n" * 1_000)


def _application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE gifts (id)")


def _newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE topics (id)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


@pytest.mark.parametrize(
    ("make_file", "why"),
    [
        (_garbage, "not a database"),
        (_application, "another application's data; give Tidings a file of its own"),
        (_newer, f"schema version {SCHEMA_VERSION + 1}, and this Tidings knows {SCHEMA_VERSION}; update Tidings"),
        (Path.mkdir, "is a folder"),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_in_one_line_and_left_alone(
    path: Path, make_file: Callable[[Path], None], why: str
) -> None:
    waiting = make(path)  # made before the file was: the start must see it too
    make_file(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ConfigurationError, match=why) as refused:
        Tidings(secret="s" * 32, broker=f"sqlite:///{path}")
    assert str(refused.value).startswith("setting broker (TIDINGS_BROKER): ") and "\n" not in str(refused.value)
    threads = threading.active_count()
    if path.is_file():
        with pytest.raises(ConfigurationError, match=why):
            await waiting.start(Recorder())
        assert path.read_bytes() == before
    else:
        with pytest.raises(BrokerUnavailable, match="could not open the file"):
            await waiting.start(Recorder())
    assert threading.active_count() == threads


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a.db?mode=ro", "sqlite://a.db"]
)
def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write sqlite:///events\.db, or sqlite:////") as refused:
        broker_from_url(url, Limits(), FakeClock())
    assert str(refused.value).startswith("setting broker (TIDINGS_BROKER): ") and "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"setting broker .*: there is no folder .*/missing; make it first"):
        broker_from_url(f"sqlite:///{tmp_path}/missing/events.db", Limits(), FakeClock())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="may not be written by this user"):
        make(tmp_path / "events.db")


async def test_a_locked_file_is_no_wrong_setting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_SECONDS_MAX", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        broker = make(path)
        with pytest.raises(BrokerUnavailable, match="another process holds its lock"):
            await broker.start(Recorder())
    await broker.start(Recorder())
    await broker.close()
