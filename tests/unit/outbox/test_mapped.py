"""Mapped classes that publish by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Engine, MetaData, Text, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.unit.outbox.rig import NotingBroker, async_engine, engine, running
from tidings import Exclude, PublishError, UsageError
from tidings.outbox import Outbox

who: ContextVar[str | None] = ContextVar("who", default=None)


class Base(DeclarativeBase):
    metadata = MetaData()


outbox = Outbox(Base.metadata)


class GiftOut(BaseModel):
    id: int
    name: str
    note: str | None


@outbox.publishes(
    "gift-list:{list_id}",
    payload=GiftOut,
    tenant="family",
    user_id=who.get,
    exclude=lambda: None if who.get() is None else Exclude(user=who.get()),
    version=2,
    when=lambda gift: gift.name != "secret",
)
class Gift(Base):
    __tablename__ = "gifts"
    id: Mapped[int] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text)
    list_id: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text, server_default="made by the database", onupdate=func.lower("NEW"))


@outbox.publishes("person:{id}")
@outbox.publishes("people:all-{kind}", payload=lambda person: person.kind)
class Person(Base):
    __tablename__ = "people"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012


class Child(Person):
    __mapper_args__ = {"polymorphic_identity": "child"}  # noqa: RUF012


@pytest.fixture
def made(database: str) -> Iterator[Engine]:
    made = engine(database)
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def said(broker: NotingBroker) -> list[tuple[str, str, Any]]:
    return [(e["topic"], e["event"], e["data"]["payload"]) for e in broker.stored]


async def test_inserts_updates_and_deletes_publish_by_themselves(made: Engine) -> None:
    broker = NotingBroker()
    token = who.set("u-1")
    try:
        async with running(outbox.relay(made), broker):
            with Session(made) as session:
                gift = Gift(family="f", list_id="1", name="Kite")
                session.add(gift)
                session.commit()
                gift.name = "Red kite"
                session.commit()
                session.delete(gift)
                session.commit()
            await broker.until(3)
    finally:
        who.reset(token)
    assert said(broker) == [
        ("gift-list:1", "ADDED", {"id": 1, "name": "Kite", "note": "made by the database"}),
        ("gift-list:1", "UPDATED", {"id": 1, "name": "Red kite", "note": "new"}),
        ("gift-list:1", "DELETED", None),
    ]
    assert {e["data"]["entity_id"] for e in broker.stored} == {"1"}
    assert {e["data"]["tenant_id"] for e in broker.stored} == {"f"}
    assert {e["data"]["user_id"] for e in broker.stored} == {"u-1"}
    assert [e["version"] for e in broker.stored] == [2, 2, 2]
    assert broker.excludes == [Exclude(user="u-1")] * 3


async def test_by_an_asynchronous_session_too(database: str) -> None:
    made = async_engine(database)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        async with AsyncSession(made) as session, session.begin():
            gift = Gift(family="f", list_id="1", name="Kite")
            session.add(gift)
            await session.flush()
            gift.name = "Red kite"
        await broker.until(2)
    await made.dispose()
    assert [event for _, event, _ in said(broker)] == ["ADDED", "UPDATED"]
    assert broker.stored[1]["data"]["payload"] == {"id": 1, "name": "Red kite", "note": "new"}


async def test_what_moves_leaves_its_old_topic(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session:
            gift = Gift(family="f", list_id="1", name="Kite")
            session.add(gift)
            session.commit()
            gift.list_id = "2"
            session.commit()
            gift.list_id = None  # on no list: nobody to tell but those who had it
            session.commit()
            gift.list_id = "3"
            session.commit()
            gift.family = "g"
            session.commit()
        await broker.until(7)
    assert [(topic, event) for topic, event, _ in said(broker)] == [
        ("gift-list:1", "ADDED"),
        ("gift-list:1", "DELETED"),
        ("gift-list:2", "ADDED"),
        ("gift-list:2", "DELETED"),
        ("gift-list:3", "ADDED"),
        ("gift-list:3", "DELETED"),
        ("gift-list:3", "ADDED"),
    ]
    assert [e["data"]["tenant_id"] for e in broker.stored] == [*"ffffff", "g"]


async def test_nothing_is_said_of_no_change_a_rollback_or_what_is_left_out(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session:
            session.add(Gift(family="f", list_id="1", name="secret"))
            session.add(Gift(family="f", list_id=None, name="on no list"))
            session.commit()
            gift = Gift(family="f", list_id="1", name="rolled back")
            session.add(gift)
            session.flush()
            session.rollback()
            kept = Gift(family="f", list_id="1", name="kept")
            session.add(kept)
            session.commit()
            session.refresh(kept)
            kept.name = "kept"  # set, and the same
            session.commit()
            with session.begin_nested() as inner:
                kept.name = "never"
                session.flush()
                inner.rollback()
            session.add(Gift(family="f", list_id="1", name="last"))
            session.commit()
        await broker.until(2)
    assert [payload["name"] for _, _, payload in said(broker)] == ["kept", "last"]


async def test_several_rules_of_one_class_and_of_its_base(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session, session.begin():
            session.add(Child(id="a b/ü"))
        await broker.until(2)
    assert sorted(said(broker), key=lambda event: event[0]) == [
        ("people:all-child", "ADDED", "child"),
        ("person:a~20b~2F~C3~BC", "ADDED", None),
    ]


def test_a_payload_that_cannot_be_json_fails_the_flush(made: Engine) -> None:
    class OtherBase(DeclarativeBase):
        pass

    class Broken(OtherBase):
        __tablename__ = "broken"
        id: Mapped[int] = mapped_column(primary_key=True)

    outbox.publishes("broken:{id}", payload=lambda _entity: object())(Broken)
    Broken.__table__.create(made)  # type: ignore[attr-defined]
    with Session(made) as session:
        session.add(Broken())
        with pytest.raises(PublishError, match=r"data\.payload of the event for broken:1 cannot be JSON"):
            session.commit()


def test_bad_rules_are_refused_at_import() -> None:
    with pytest.raises(UsageError, match="name an attribute in braces"):
        outbox.publishes("gift-list:1")
    with pytest.raises(UsageError, match="must be a function or a pydantic model"):
        outbox.publishes("gift-list:{id}", payload="name")
