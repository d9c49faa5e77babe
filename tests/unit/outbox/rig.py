"""An application with an outbox, and a broker that notes what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import Engine, MetaData, Text, create_engine, event, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tidings.brokers.memory import MemoryBroker
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.core.numbering import Numbered
from tidings.core.topics import TopicKey
from tidings.engine.publisher import Publisher
from tidings.outbox import Outbox, Relay
from tidings.ports import Stored
from tidings.testing import FakeClock

DRIVERS = {
    "sqlite": {"sync": "sqlite+pysqlite", "async": "sqlite+aiosqlite"},
    "postgresql": {"sync": "postgresql+psycopg", "async": "postgresql+asyncpg"},
}


class Base(DeclarativeBase):
    metadata = MetaData()


class Gift(Base):
    __tablename__ = "gifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)


outbox = Outbox(Base.metadata)


def url(database: str, kind: str) -> str:
    scheme, _, rest = database.partition(":")
    return f"{DRIVERS[scheme][kind]}:{rest}"


def engine(database: str) -> Engine:
    made = create_engine(url(database, "sync"))
    if made.dialect.name == "sqlite":
        _prepare_sqlite(made)
    return made


def async_engine(database: str) -> AsyncEngine:
    made = create_async_engine(url(database, "async"))
    if made.dialect.name == "sqlite":
        _prepare_sqlite(made.sync_engine)
    return made


def _prepare_sqlite(made: Engine) -> None:
    """As SQLAlchemy's documentation advises, so that savepoints and rollbacks are the database's."""

    @event.listens_for(made, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA busy_timeout=30000")

    @event.listens_for(made, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


class NotingBroker(MemoryBroker):
    """Notes each event that it stored; ``fail`` makes the next publishes raise."""

    def __init__(self) -> None:
        super().__init__(Limits(), FakeClock())
        self.stored: list[dict[str, Any]] = []
        self.excludes: list[Exclude | None] = []
        self.epochs: dict[TopicKey, list[str]] = {}
        self.fail: Callable[[dict[str, Any]], BaseException | None] = lambda _event: None
        self.came = asyncio.Condition()

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        said = msgspec.json.decode(body)
        failure = self.fail(said)
        if failure is not None:
            raise failure
        stored = await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)
        if not stored.repeated:
            self.stored.append(said)
            self.excludes.append(exclude)
            epochs = self.epochs.setdefault(key, [])
            if stored.cursor.epoch not in epochs:
                epochs.append(stored.cursor.epoch)
            async with self.came:
                self.came.notify_all()
        return stored

    def entities(self, topic: str | None = None) -> list[str]:
        return [e["data"]["entity_id"] for e in self.stored if topic is None or e["topic"] == topic]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20), self.came:
            await self.came.wait_for(lambda: len(self.stored) >= count)


def unavailable(_event: dict[str, Any]) -> BaseException:
    return BrokerUnavailable("away")


@asynccontextmanager
async def running(relay: Relay, broker: NotingBroker) -> AsyncIterator[Relay]:
    limits = Limits()
    publisher = Publisher(broker, limits, FakeClock(), on_published=lambda _topic: None)
    await relay.start(publisher.publish_numbered)
    try:
        yield relay
    finally:
        await relay.close()


async def until_settled(relay: Relay) -> None:
    """Until nothing waits any more."""
    async with asyncio.timeout(20):
        while (await relay.status()).waiting:
            await asyncio.sleep(0.01)


def numbers(made: Engine, topic: str) -> list[tuple[int, str]]:
    table = outbox.tables.events
    with made.begin() as connection:
        rows = connection.execute(
            select(table.c.number, table.c.entity_id).where(table.c.topic == topic).order_by(table.c.number)
        )
        return [(number, entity) for number, entity in rows]
