"""Several processes on one file: real ones, killed in the middle of their work.

Run as a program, this file is such a process: it tells what it receives, and publishes what it is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tidings.brokers import sqlite_reader
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_wakes import Wakes
from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.ports import Stored
from tidings.testing import Recorder

KEY = TopicKey("t-1", "gift-list:1")
LIMITS = Limits(history_events=0)
START_SECONDS_MAX = 20.0
STORM_PUBLISHERS = 32


def make(path: Path) -> SQLiteBroker:
    return SQLiteBroker(path, LIMITS, SystemClock())


class _Teller:
    def received(self, publication: Publication) -> None:
        print("received", publication.body.decode(), flush=True)

    def interrupted(self) -> None:
        print("interrupted", flush=True)


async def _main(path: Path) -> None:
    """Lines in: a body to publish, or ``storm``. Lines out: ``ready``, ``stored CURSOR BODY``, ``received BODY``."""
    broker = make(path)
    await broker.start(_Teller())
    await broker.join(KEY)
    print("ready", flush=True)

    async def publish(body: str) -> None:
        stored = await broker.publish(KEY, body.encode(), idempotency_key=body)
        print("stored", stored.cursor, body, flush=True)

    async def storm(publisher: int) -> None:
        number = 0
        while True:
            await publish(f"{os.getpid()}-{publisher}-{number}")
            number += 1

    loop = asyncio.get_running_loop()
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if line == "storm":
            await asyncio.gather(*(storm(publisher) for publisher in range(STORM_PUBLISHERS)))
        await publish(line)
    await broker.close()


class Child:
    """One such process, from the outside."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def says(self, word: str) -> str:
        """The next line that begins so. Raises TimeoutError, or AssertionError when the process has ended."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS_MAX):
            while line := (await self.process.stdout.readline()).decode():
                if line.startswith(word) and line.endswith("\n"):
                    return line.rstrip("\n")
        raise AssertionError(f"the process ended before it said {word}")

    async def rest(self) -> list[str]:
        """What it said until it was killed; a line that was cut short counts as not said."""
        assert self.process.stdout is not None
        text = (await self.process.stdout.read()).decode()
        return text[: text.rfind("\n") + 1].splitlines()

    def told(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def child(path: Path) -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, str(path), stdin=PIPE, stdout=PIPE)
    try:
        one = Child(process)
        await one.says("ready")
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[tuple[SQLiteBroker, Recorder]]:
    broker, recorder = make(path), Recorder()
    await broker.start(recorder)
    await broker.join(KEY)
    try:
        yield broker, recorder
    finally:
        await broker.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


async def test_processes_wake_each_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_reader, "POLL_SECONDS", 3_600.0)  # here nothing is found but by a wake
    async with listening(path) as (broker, recorder), child(path) as other:
        other.told("from-there")
        await recorder.until(b"from-there", KEY)
        await broker.publish(KEY, b"from-here")
        await other.says("received from-here")


async def test_without_wakes_they_find_it_within_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wakes, "open", lambda wakes: None)  # as on a system without such sockets
    async with listening(path) as (_, recorder), child(path) as other:
        other.told("from-there")
        await other.says("stored")
        async with asyncio.timeout(1):
            await recorder.until(b"from-there", KEY)


async def test_a_path_too_long_for_a_socket_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux names folders by their descriptors")
    monkeypatch.setattr(sqlite_reader, "POLL_SECONDS", 3_600.0)
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with listening(folder / "events.db") as (broker, recorder), child(folder / "events.db") as other:
        other.told("from-there")
        await recorder.until(b"from-there", KEY)
        await broker.publish(KEY, b"from-here")
        await other.says("received from-here")


async def test_writers_in_several_processes_make_one_order(path: Path) -> None:
    async with listening(path) as (broker, recorder), child(path) as one, child(path) as two:
        for number in range(100):
            one.told(f"one-{number}")
            two.told(f"two-{number}")
        await asyncio.gather(*(broker.publish(KEY, b"here-%d" % number) for number in range(100)))
        await one.says(f"stored {(await broker.head(KEY)).epoch}-")
        for other, name in ((one, "one"), (two, "two")):
            other.told(f"{name}-last")
            await recorder.until(f"{name}-last".encode(), KEY)
        history = await broker.history(KEY, Cursor((await broker.head(KEY)).epoch, 0), 0)
        assert [p.cursor.offset for p in history.publications] == list(range(1, 303))
        assert len({p.body for p in history.publications}) == 302
        assert recorder.publications == list(history.publications), "not each once, or not in the order of commits"


async def test_f08_f19_a_process_killed_in_a_storm_loses_nothing_that_it_answered(path: Path) -> None:
    async with listening(path) as (broker, recorder):
        async with child(path) as other:
            other.told("storm")
            said = [await other.says("stored") for _ in range(500)]
            other.kill()
            said += [line for line in await other.rest() if line.startswith("stored")]
        epoch = (await broker.head(KEY)).epoch
        history = await broker.history(KEY, Cursor(epoch, 0), 0)
        await recorder.until(history.publications[-1].body, KEY)
        assert recorder.publications == list(history.publications), "those who live on did not hear of all"
        assert len(list((path.parent / "events.db-wake").iterdir())) == 2, "no stale socket: the test shows nothing"
        await broker.publish(KEY, b"rings")
        assert len(list((path.parent / "events.db-wake").iterdir())) == 1

    answered = [line.split()[1:] for line in said]
    assert len(answered) >= 500
    async with listening(path) as (broker, recorder):  # nobody had the file open: as after a restart of the machine
        history = await broker.history(KEY, Cursor(epoch, 0), 0)
        assert history.head.epoch == epoch
        assert [p.cursor.offset for p in history.publications] == list(range(1, history.head.offset + 1))
        place = {str(p.cursor): p.body.decode() for p in history.publications}
        assert all(place.get(cursor) == body for cursor, body in answered), "an answered event has gone"
        cursor, body = answered[-1]
        again = await broker.publish(KEY, body.encode(), idempotency_key=body)
        assert again == Stored(Cursor.parse(cursor), repeated=True)
        assert (await broker.publish(KEY, b"next")).cursor == Cursor(epoch, history.head.offset + 1)
        await recorder.until(b"next", KEY)


async def test_the_only_process_is_killed_again_and_again_and_the_epoch_stays(path: Path) -> None:
    answered: dict[str, str] = {}
    for _ in range(3):
        async with child(path) as other:
            other.told("storm")
            said = [await other.says("stored") for _ in range(100)]
            other.kill()
            said += [line for line in await other.rest() if line.startswith("stored")]
        answered.update({line.split()[1]: line.split()[2] for line in said})
    async with listening(path) as (broker, _):
        head = await broker.head(KEY)
        history = await broker.history(KEY, Cursor(head.epoch, 0), 0)
        assert [p.cursor.offset for p in history.publications] == list(range(1, head.offset + 1))
        place = {str(p.cursor): p.body.decode() for p in history.publications}
        assert all(place.get(cursor) == body for cursor, body in answered.items())
    assert len(answered) >= 300


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
