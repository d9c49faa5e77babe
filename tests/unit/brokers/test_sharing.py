"""Reads that are shared: few for many, never older than the question."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.brokers.sqlite_rig import KEY, started
from tidings.brokers.sharing import SharedReads
from tidings.brokers.sqlite_reader import Read, Reader
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable


class Shelf:
    """What is read, slowly."""

    def __init__(self) -> None:
        self.value = 0
        self.reads = 0
        self.fault: Exception | None = None

    async def read(self, _question: str) -> int:
        self.reads += 1
        value = self.value
        await asyncio.sleep(0.01)
        if self.fault is not None:
            raise self.fault
        return value


async def test_many_at_once_cost_two_reads() -> None:
    shelf = Shelf()
    shared = SharedReads(shelf.read)
    assert await asyncio.gather(*(shared.ask("a") for _ in range(1_000))) == [0] * 1_000
    assert shelf.reads == 2
    assert not shared._running and not shared._waiting


async def test_questions_that_differ_do_not_wait_for_each_other() -> None:
    shelf = Shelf()
    shared = SharedReads(shelf.read)
    await asyncio.gather(*(shared.ask(str(n)) for n in range(50)))
    assert shelf.reads == 50


async def test_an_answer_is_never_older_than_its_question() -> None:
    shelf = Shelf()
    shared = SharedReads(shelf.read)

    async def ask_after_a_change() -> None:
        shelf.value += 1
        known = shelf.value
        assert await shared.ask("a") >= known

    for _ in range(20):
        asking = []
        for _ in range(10):
            asking.append(asyncio.create_task(ask_after_a_change()))
            await asyncio.sleep(0.001)
        await asyncio.gather(*asking)
    assert shelf.reads < 200


async def test_a_failed_read_is_told_to_all_who_waited_for_it_and_the_next_works() -> None:
    shelf = Shelf()
    shared = SharedReads(shelf.read)
    shelf.fault = BrokerUnavailable("away")
    answers = await asyncio.gather(*(shared.ask("a") for _ in range(5)), return_exceptions=True)
    assert all(isinstance(answer, BrokerUnavailable) for answer in answers)
    shelf.fault = None
    assert await shared.ask("a") == 0
    assert not shared._running and not shared._waiting


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_one_who_gives_up_takes_nobody_along(victim: int) -> None:
    shelf = Shelf()
    shared = SharedReads(shelf.read)
    asking = [asyncio.create_task(shared.ask("a")) for _ in range(4)]
    await asyncio.sleep(0)
    asking[victim].cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [n == victim for n in range(4)]
    assert await shared.ask("a") == 0
    assert not shared._running and not shared._waiting


async def test_f42_a_herd_that_recovers_from_one_position_reads_the_file_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    ask = Reader.ask

    def noting(self: Reader, request: Read) -> None:
        asked.append(request)
        ask(self, request)

    monkeypatch.setattr(Reader, "ask", noting)
    async with started(tmp_path / "events.db") as broker:
        start = (await broker.publish(KEY, b"0")).cursor
        for n in range(1, 51):
            await broker.publish(KEY, b"%d" % n)
        since = Cursor(start.epoch, 1)
        histories = await asyncio.gather(*(broker.history(KEY, since, 100) for _ in range(1_000)))
        assert {len(history.publications) for history in histories} == {50}
        assert len(asked) == 2
