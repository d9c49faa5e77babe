"""Committed means published, rolled back means not, in the order of the commits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.unit.outbox.rig import Base, Gift, NotingBroker, async_engine, numbers, outbox, running
from tidings import Exclude, PublishError, UsageError

LIST = "gift-list:1"


async def test_a_commit_publishes_and_a_rollback_does_not(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session:
            outbox.add(session, LIST, "ADDED", entity_id="lost")
            session.flush()
            session.rollback()
        with Session(made) as session, session.begin():
            outbox.add(session, LIST, "ADDED", entity_id="kept", payload={"name": "Kite"})
        await broker.until(1)
    assert broker.entities() == ["kept"]
    assert broker.stored[0]["data"]["payload"] == {"name": "Kite"}


async def test_asynchronous_sessions_and_engines(database: str) -> None:
    made = async_engine(database)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        async with AsyncSession(made, expire_on_commit=False) as session, session.begin():
            gift = Gift(list_id="1", name="Kite")
            session.add(gift)
            await session.flush()
            outbox.add(session, LIST, "ADDED", entity_id=gift.id)
        await broker.until(1)
    assert broker.entities() == [str(gift.id)]
    await made.dispose()


async def test_f63_a_savepoint_that_was_rolled_back_is_not_published(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session, session.begin():
            outbox.add(session, LIST, "ADDED", entity_id="a")
            inner = session.begin_nested()
            outbox.add(session, LIST, "ADDED", entity_id="never")
            session.flush()
            inner.rollback()
            with session.begin_nested():
                outbox.add(session, LIST, "ADDED", entity_id="b")
        await broker.until(2)
    assert broker.entities() == ["a", "b"]
    assert numbers(made, LIST) == [(1, "a"), (2, "b")], "the number of what never was left a hole"


async def test_f64_a_session_joined_to_a_transaction_that_rolls_back_publishes_nothing(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with made.connect() as connection:
            outer = connection.begin()
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                outbox.add(session, LIST, "ADDED", entity_id="never")
                session.commit()
            outer.rollback()
        with Session(made) as session, session.begin():
            outbox.add(session, LIST, "ADDED", entity_id="kept")
        await broker.until(1)
    assert broker.entities() == ["kept"]


async def test_all_that_an_event_can_carry(made: Engine) -> None:
    broker = NotingBroker()
    when = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
    async with running(outbox.relay(made), broker):
        with Session(made) as session, session.begin():
            outbox.add(
                session, LIST, "UPDATED", entity_id=7, payload={"when": when, "price": 2**60}, user_id="u-1",
                tenant="t-1", timestamp=when, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", version=3,
                exclude=Exclude(user="u-1", session="s"),
            )  # fmt: skip
        await broker.until(1)
    assert broker.stored == [
        {
            "topic": LIST,
            "event": "UPDATED",
            "data": {
                "entity_id": "7",
                "user_id": "u-1",
                "tenant_id": "t-1",
                "timestamp": "2026-11-24T03:04:05.000Z",
                "payload": {"when": "2026-11-24T03:04:05Z", "price": 2**60},
            },
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "version": 3,
        }
    ]
    assert broker.excludes == [Exclude(user="u-1", session="s")]


async def test_a_statement_for_code_without_a_session_and_plain_sql(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with made.begin() as connection:
            connection.execute(outbox.insert(LIST, "ADDED", entity_id="by core", payload=[1]))
        with made.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO tidings_outbox (topic, event, entity_id, payload)"
                    " VALUES ('gift-list:1', 'UPDATED', 'by sql', '{\"a\": 1.50}')"
                )
            )
        await broker.until(2)
    assert broker.entities() == ["by core", "by sql"]
    assert broker.stored[1]["data"]["payload"] == {"a": 1.5}
    assert broker.stored[1]["data"]["timestamp"].startswith("20")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"topic": "Gift List"}, PublishError, "bad_topic"),
        ({"event": ""}, PublishError, "event"),
        ({"payload": object()}, PublishError, r"data\.payload .* is a object"),
        ({"payload": "x" * 200_000}, PublishError, "payload_too_large"),
        ({"entity_id": None}, UsageError, "flush the session first"),
        ({"timestamp": datetime(2026, 1, 1)}, UsageError, "time zone"),
    ],
)
def test_a_bad_event_is_refused_where_it_is_added(
    options: dict[str, object], error: type[Exception], message: str
) -> None:
    made = create_engine("sqlite://")  # nothing reaches it
    good: dict[str, object] = {"topic": LIST, "event": "ADDED", "entity_id": "e", "payload": None}
    with Session(made) as session:
        with pytest.raises(error, match=message):
            outbox.add(session, **{**good, **options})  # type: ignore[arg-type]
        assert not session.new, "a row was left in the session"


async def test_the_payload_is_what_it_was_when_it_was_added(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session, session.begin():
            names = ["Kite"]
            outbox.add(session, LIST, "ADDED", entity_id="e", payload=names)
            names.append("changed")
        await broker.until(1)
    assert broker.stored[0]["data"]["payload"] == ["Kite"]


async def test_two_topics_of_one_name_in_two_tenants_count_for_themselves(made: Engine) -> None:
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        for tenant in ("t-1", "t-2", None, ""):
            with Session(made) as session, session.begin():
                outbox.add(session, LIST, "ADDED", entity_id=f"of {tenant}", tenant=tenant)
        await broker.until(4)
    assert sorted(broker.entities()) == ["of ", "of None", "of t-1", "of t-2"]
    assert [number for number, _ in numbers(made, LIST)] == [1, 1, 1, 1]
