"""Numbered events in the file: over a restart, out of an older file, and gone with their topic."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.brokers.sqlite_rig import KEY, OTHER, count, started
from tidings.core.numbering import Numbered, OutOfSequence
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import FakeClock

DAY = 86_400


def numbered(number: int) -> Numbered:
    return Numbered("s", number, f"t{number}")


async def test_numbers_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with started(path) as broker:
        first = await broker.publish(KEY, b"1", numbered=numbered(1))
    async with started(path) as broker:
        assert await broker.publish(KEY, b"1", numbered=numbered(1)) == Stored(first.cursor, repeated=True)
        with pytest.raises(OutOfSequence, match="number 3 does not follow 1"):
            await broker.publish(KEY, b"3", numbered=numbered(3))
        second = await broker.publish(KEY, b"2", numbered=numbered(2))
        assert (second.cursor.epoch, second.cursor.offset) == (first.cursor.epoch, 2)


async def test_a_file_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    async with started(path) as broker:
        old = await broker.publish(KEY, b"old", idempotency_key="k")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE numbers; PRAGMA user_version = 1")
    async with started(path) as broker:
        assert (await broker.publish(KEY, b"old", idempotency_key="k")).cursor == old.cursor
        stored = await broker.publish(KEY, b"1", numbered=numbered(1))
        assert (stored.cursor.epoch, stored.cursor.offset) == (old.cursor.epoch, 2)


async def test_a_refused_number_does_not_take_its_neighbours_along(tmp_path: Path) -> None:
    """They may wait for one and the same commit."""
    async with started(tmp_path / "events.db") as broker:
        await broker.publish(KEY, b"1", numbered=numbered(1))
        wrong = broker.publish(KEY, b"5", numbered=numbered(5))
        right = broker.publish(OTHER, b"1", numbered=numbered(1))
        with pytest.raises(OutOfSequence):
            await wrong
        assert not (await right).repeated


async def test_numbers_go_with_their_topic(tmp_path: Path) -> None:
    path, clock = tmp_path / "events.db", FakeClock()
    async with started(path, clock, history_seconds=60) as broker:
        for n in range(40):
            await broker.publish(TopicKey(None, f"gift:{n}"), b"1", numbered=numbered(1))
        assert count(path, "numbers") == 40
        for _ in range(40):
            clock.advance(DAY)
            await broker.publish(KEY, b"{}")
        assert count(path, "numbers") == 0
