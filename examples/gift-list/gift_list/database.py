"""The connection to the database: SQLite in a file, or PostgreSQL by URL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from gift_list import seed
from gift_list.models import Base
from gift_list.settings import settings


def _engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        return create_async_engine(url)
    engine = create_async_engine(url, connect_args={"timeout": 15})

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # WAL: readers and the writer do not wait for one another.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


engine = _engine(settings.url)
_sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def transaction() -> AsyncIterator[AsyncSession]:
    """One transaction: committed when the block ends, rolled back when it raises.

    What was read stays readable after the block, so that it can be answered once it is committed.
    """
    async with _sessions.begin() as session:
        yield session


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the tables, and seed them where there are none."""
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with transaction() as db:
            await seed.if_empty(db)
        yield
    finally:
        await engine.dispose()
