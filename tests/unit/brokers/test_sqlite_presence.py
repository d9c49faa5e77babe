"""Presence in a file: what only a file, and other processes, can do."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_presence import SQLitePresence
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.testing import FakeClock, PresenceRecorder
from tidings.testing.presence_rig import member

LIST = TopicKey("t-1", "gift-list:1")


@asynccontextmanager
async def started(store: SQLitePresence) -> AsyncIterator[PresenceRecorder]:
    recorder = PresenceRecorder()
    await store.start(recorder)
    try:
        yield recorder
    finally:
        await store.close()


class AheadClock(SystemClock):
    """The machine's clock, and some seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.seconds)


OTHER_PROCESS = """
import asyncio, sys
from pathlib import Path
from tidings.brokers.sqlite_presence import SQLitePresence
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.testing import PresenceRecorder
from tidings.testing.presence_rig import member

async def main():
    store = SQLitePresence(Path(sys.argv[1]), SystemClock())
    await store.start(PresenceRecorder())
    store.enter(TopicKey("t-1", "gift-list:1"), member("s-other", "ben", typing=True))
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_members_of_a_process_that_was_killed_are_gone_within_thirty_seconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "presence", AheadClock()
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(path)])  # noqa: ASYNC220 - it only begins
    try:
        store = SQLitePresence(path, clock)
        async with started(store) as seen:
            store.watch(LIST)
            await seen.until(LIST, member("s-other", "ben", typing=True))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            clock.seconds = 20.0  # its lease holds: it might only be slow
            store.enter(LIST, member("mine"))
            assert [one.session for one in await store.members(LIST)] == ["mine", "s-other"]
            clock.seconds = 28.0
            await seen.until(LIST)
    finally:
        process.kill()
        process.wait()


async def test_a_node_that_stood_still_is_taken_for_dead_and_comes_back(tmp_path: Path) -> None:
    path, clock, standing = tmp_path / "presence", FakeClock(), FakeClock()
    here, there = SQLitePresence(path, clock), SQLitePresence(path, standing)
    async with started(here) as seen, started(there) as others:
        here.watch(LIST)
        there.watch(LIST)
        there.enter(LIST, member("s-1"))
        here.enter(LIST, member("mine"))
        await seen.until(LIST, member("s-1"))
        clock.advance(30.0)
        await seen.until(LIST)
        lists = len(others.lists)
        standing.advance(30.0)
        await seen.until(LIST, member("s-1"))
        await others.until(LIST, member("mine"))
        assert len(others.lists) > lists, "what it missed meanwhile must be read anew"


async def test_a_file_that_is_removed_is_made_again_with_all_that_are_there(tmp_path: Path) -> None:
    path, clock = tmp_path / "presence", FakeClock()
    here, there = SQLitePresence(path, clock), SQLitePresence(path, clock)
    async with started(here) as seen, started(there):
        here.watch(LIST)
        there.enter(LIST, member("s-1"))
        await seen.until(LIST, member("s-1"))
        for file in tmp_path.glob("presence*"):
            if file.is_file():
                file.unlink()
        there.enter(LIST, member("s-2"))
        await seen.until(LIST, member("s-1"), member("s-2"))


async def test_a_file_that_cannot_be_opened_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.brokers.sqlite_presence.AGAIN_SECONDS", 0.05)
    path = tmp_path / "presence"
    path.mkdir()
    here, there = SQLitePresence(path, FakeClock()), SQLitePresence(path, FakeClock())
    async with started(here) as seen, started(there):
        here.watch(LIST)
        there.enter(LIST, member("s-1"))
        async with asyncio.timeout(5):
            while "cannot be known for now" not in caplog.text:
                await asyncio.sleep(0.01)
        path.rmdir()
        await seen.until(LIST, member("s-1"))


async def test_without_a_member_there_is_no_file_and_no_thread(tmp_path: Path) -> None:
    broker = SQLiteBroker(tmp_path / "events.db", Limits(), FakeClock())
    async with started(broker.presence()):
        assert not list(tmp_path.glob("*presence*"))


async def test_who_has_left_is_forgotten_in_the_end(tmp_path: Path) -> None:
    path, clock = tmp_path / "presence", FakeClock()
    here, there = SQLitePresence(path, clock), SQLitePresence(path, clock)
    async with started(here) as seen, started(there):
        here.watch(LIST)
        for number in range(20):
            there.enter(LIST, member(f"s-{number}"))
            there.exit(LIST, f"s-{number}")
        there.enter(LIST, member("stays"))
        await seen.until(LIST, member("stays"))
        for number in range(15):
            clock.advance(9.0)
            there.enter(LIST, member("stays", n=number))
            await seen.until(LIST, member("stays", n=number))
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM members").fetchone() == (1,)
