"""A SQLite broker to look at, and a look into its file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from tidings.brokers.sqlite import SQLiteBroker
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.testing import FakeClock, Recorder

KEY = TopicKey(None, "gift-list:1")
OTHER = TopicKey(None, "gift-list:2")


@asynccontextmanager
async def started(path: Path, clock: FakeClock | None = None, **limits: int) -> AsyncIterator[SQLiteBroker]:
    """A broker that runs, with limits of its own."""
    broker = SQLiteBroker(path, Limits(**limits), clock or FakeClock())
    await broker.start(Recorder())
    try:
        yield broker
    finally:
        await broker.close()


def count(path: Path, table: str) -> int:
    """How many rows a table has, as another process sees it."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
