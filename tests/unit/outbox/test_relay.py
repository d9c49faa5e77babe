"""The relay: each event once and in order, whatever fails, and what cannot be published set aside and told."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.orm import Session

from tests.unit.outbox.rig import (
    Base,
    NotingBroker,
    engine,
    outbox,
    running,
    unavailable,
    until_settled,
)
from tidings import UsageError
from tidings.core.topics import TopicKey
from tidings.outbox import ledger
from tidings.outbox.relay import FAILURES_MAX

LIST, OTHER = "gift-list:1", "gift-list:2"


def commit(made: Engine, *entities: str, topic: str = LIST) -> None:
    for entity in entities:
        with Session(made) as session, session.begin():
            outbox.add(session, topic, "UPDATED", entity_id=entity)


async def test_what_was_committed_before_the_start_is_published(made: Engine) -> None:
    commit(made, "a", "b", "c")
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        await broker.until(3)
    assert broker.entities() == ["a", "b", "c"]


async def test_a_batch_smaller_than_what_waits_keeps_the_order(made: Engine) -> None:
    commit(made, *map(str, range(40)))
    broker = NotingBroker()
    async with running(outbox.relay(made, batch_events=7), broker):
        await broker.until(40)
    assert broker.entities() == [str(n) for n in range(40)]


async def test_f61_published_and_not_marked_is_published_once(made: Engine) -> None:
    commit(made, "a", "b", "c")
    broker = NotingBroker()
    relay = outbox.relay(made)
    async with running(relay, broker):
        await until_settled(relay)
    with made.begin() as connection:  # as if it had been killed before it could mark them
        connection.execute(update(outbox.tables.events).values(published_at=None))
    commit(made, "d")
    later = outbox.relay(made)
    async with running(later, broker):
        await until_settled(later)
    assert broker.entities() == ["a", "b", "c", "d"]
    assert len(broker.epochs[TopicKey(None, LIST)]) == 1, "subscribers were told of a gap that there was not"


async def test_f62_two_relays_at_once_neither_double_nor_reorder(made: Engine) -> None:
    """Both believe that they are the one at work."""
    commit(made, *map(str, range(200)))
    broker = NotingBroker()
    relays = [outbox.relay(made, batch_events=20), outbox.relay(made, batch_events=30)]
    relays[1]._name = relays[0]._name
    async with running(relays[0], broker), running(relays[1], broker):
        await until_settled(relays[0])
    assert broker.entities() == [str(n) for n in range(200)]
    assert len(broker.epochs[TopicKey(None, LIST)]) == 1


async def test_only_one_relay_is_at_work_and_another_begins_at_once_when_it_closes(made: Engine) -> None:
    broker = NotingBroker()
    first, second = outbox.relay(made), outbox.relay(made)
    async with running(first, broker):
        commit(made, "a")
        await broker.until(1)
        at_work = (await first.status()).holder
        await second.start(partial(_never, broker))
        await second.close()
        assert (await first.status()).holder == at_work, "a relay that had nothing to let go took the other's place"
    assert (await first.status()).holder is None
    async with running(second, broker):
        commit(made, "b")
        await broker.until(2)
        assert (await first.status()).holder not in (at_work, None)


async def _never(_broker: NotingBroker, *_args: Any, **_options: Any) -> Any:
    raise AssertionError("the relay that is not at work published")


async def test_a_broker_that_is_away_is_waited_for(made: Engine, caplog: pytest.LogCaptureFixture) -> None:
    broker = NotingBroker()
    broker.fail = unavailable
    relay = outbox.relay(made)
    async with running(relay, broker):
        commit(made, "a", "b")
        async with asyncio.timeout(20):
            while not caplog.records:
                await asyncio.sleep(0.01)
        assert (await relay.status()).waiting == 2
        broker.fail = lambda _event: None
        await broker.until(2)
    assert broker.entities() == ["a", "b"]
    assert [record.levelname for record in caplog.records if "waits" in record.message] == ["ERROR"]


async def test_an_answer_that_was_lost_is_asked_for_again(made: Engine) -> None:
    """The event is stored, and the relay does not know: F16 and F17 for the outbox."""
    broker = NotingBroker()
    plain = broker.publish
    lost = {"a", "c"}

    async def publish(*args: Any, **options: Any) -> Any:
        stored = await plain(*args, **options)
        for entity in sorted(lost):
            if f'"{entity}"'.encode() in args[1]:
                lost.discard(entity)
                raise ConnectionResetError("the answer was lost")
        return stored

    broker.publish = publish  # type: ignore[method-assign]
    relay = outbox.relay(made)
    commit(made, "a", "b", "c", "d")
    async with running(relay, broker):
        await until_settled(relay)
    assert not lost
    assert broker.entities() == ["a", "b", "c", "d"]


async def test_f58_what_is_no_event_is_parked_and_its_topic_goes_on_and_is_told(
    made: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    broker = NotingBroker()
    relay = outbox.relay(made)
    commit(made, "a")
    with made.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO tidings_outbox (topic, event, entity_id, payload)"
                " VALUES ('gift-list:1', 'UPDATED', 'poison', 'no json')"
            )
        )
    commit(made, "b")
    commit(made, "elsewhere", topic=OTHER)
    async with running(relay, broker):
        await until_settled(relay)
        assert broker.entities(LIST) == ["a", "b"]
        assert len(broker.epochs[TopicKey(None, LIST)]) == 2, "a gap that nobody was told of"
        assert len(broker.epochs[TopicKey(None, OTHER)]) == 1
        assert any("was parked" in record.message for record in caplog.records)
        (parked,) = await relay.parked()
        assert (parked.entity_id, parked.topic) == ("poison", LIST)
        assert "payload is not JSON" in parked.error
        assert (await relay.status()).parked == 1

        with made.begin() as connection:  # mended by an operator
            connection.execute(text("UPDATE tidings_outbox SET payload = '[1]' WHERE entity_id = 'poison'"))
        assert await relay.unpark(parked.id)
        assert not await relay.unpark(parked.id)
        await broker.until(4)
        assert broker.entities(LIST) == ["a", "b", "poison"]
        assert await relay.parked() == []


async def test_a_parked_event_can_be_dropped(made: Engine) -> None:
    relay = outbox.relay(made)
    with made.begin() as connection:
        connection.execute(text("INSERT INTO tidings_outbox (topic, event, entity_id) VALUES ('No Topic', 'X', 'e')"))
    async with running(relay, NotingBroker()):
        await until_settled(relay)
        (parked,) = await relay.parked()
        assert "bad_topic" in parked.error
        assert await relay.discard(parked.id)
        assert not await relay.discard(parked.id)
        assert await relay.parked() == []


async def test_an_event_that_fails_again_and_again_waits_alone_and_is_parked_at_last(
    made: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.outbox.relay.RETRY_SECONDS", 0.001)
    broker = NotingBroker()
    tries: list[str] = []

    def fail(event: dict[str, Any]) -> BaseException | None:
        entity = event["data"]["entity_id"]
        tries.append(entity)
        return RuntimeError("no idea") if entity == "odd" else None

    broker.fail = fail
    commit(made, "odd", "after")
    commit(made, *map(str, range(20)), topic=OTHER)
    relay = outbox.relay(made)
    async with running(relay, broker):
        await broker.until(20)
        assert broker.entities(OTHER) == [str(n) for n in range(20)], "one topic's trouble held up another"
        await until_settled(relay)
        assert broker.entities(LIST) == ["after"]
        (parked,) = await relay.parked()
    assert parked.error == "RuntimeError: no idea"
    assert tries.count("odd") == FAILURES_MAX


async def test_an_event_that_fails_once_is_not_overtaken(made: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.outbox.relay.RETRY_SECONDS", 0.001)
    broker = NotingBroker()
    failing = {"a": 2, "c": 1}

    def fail(event: dict[str, Any]) -> BaseException | None:
        entity = event["data"]["entity_id"]
        failing[entity] = failing.get(entity, 0) - 1
        return RuntimeError("for now") if failing[entity] >= 0 else None

    broker.fail = fail
    commit(made, "a", "b", "c", "d")
    relay = outbox.relay(made)
    async with running(relay, broker):
        await until_settled(relay)
    assert broker.entities() == ["a", "b", "c", "d"]
    assert len(broker.epochs[TopicKey(None, LIST)]) == 1
    with made.begin() as connection:
        assert connection.execute(text("SELECT sum(failures) FROM tidings_outbox_topics")).scalar_one() == 0


async def test_a_broker_that_lost_events_is_told_of_a_new_epoch(made: Engine) -> None:
    """It answers with an older last number: what is between is lost, and every subscriber is told (F10)."""
    relay = outbox.relay(made)
    broker = NotingBroker()
    async with running(relay, broker):
        commit(made, "a", "b", "c")
        await broker.until(3)
        key = TopicKey(None, LIST)
        topic = broker._topics[key]
        (source,) = topic.numbers
        topic.numbers[source] = topic.numbers[source]._replace(number=1, token="of a")
        commit(made, "d", "e")
        await broker.until(5)
    assert broker.entities() == ["a", "b", "c", "d", "e"]
    assert len(broker.epochs[key]) == 2


async def test_a_broker_that_forgot_everything_begins_anew_without_alarm(
    made: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """As one in memory after a restart: its epochs are new, so everybody is told already."""
    first, second = NotingBroker(), NotingBroker()
    relay = outbox.relay(made)
    async with running(relay, first):
        commit(made, "a", "b")
        await first.until(2)
        await until_settled(relay)
    async with running(relay, second):
        commit(made, "c", "d")
        await second.until(2)
    assert second.entities() == ["c", "d"]
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_f67_a_database_that_was_set_back_is_told_as_a_new_epoch(made: Engine) -> None:
    """Restored from a backup, it gives numbers again that the broker knows for other events."""
    broker = NotingBroker()
    relay = outbox.relay(made)
    async with running(relay, broker):
        commit(made, "a", "b", "c", "d")
        await broker.until(4)
        await until_settled(relay)
    with made.begin() as connection:
        connection.execute(text("DELETE FROM tidings_outbox WHERE number > 2"))
        connection.execute(text("UPDATE tidings_outbox_topics SET number = 2"))
    async with running(relay, broker):
        commit(made, "c again", "d again")
        await broker.until(6)
    assert broker.entities()[4:] == ["c again", "d again"]
    assert len(broker.epochs[TopicKey(None, LIST)]) == 2


async def test_published_events_are_trimmed_after_a_while(made: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.outbox.relay._TRIM_SECONDS", 0.0)
    broker = NotingBroker()
    kept = outbox.relay(made, keep_seconds=3600)
    async with running(kept, broker):
        commit(made, "a", "b")
        await until_settled(kept)
        await until_trimmed(kept, made, left=2)
    gone = outbox.relay(made, keep_seconds=0)
    async with running(gone, broker):
        await until_trimmed(gone, made, left=0)
        commit(made, "c")
        await broker.until(3)
    assert broker.entities() == ["a", "b", "c"]
    assert len(broker.epochs[TopicKey(None, LIST)]) == 1, "trimming lost the count"


async def until_trimmed(relay: Any, made: Engine, *, left: int) -> None:
    """Several rounds of trimming have gone by, and so many rows are there."""
    async with asyncio.timeout(20):
        while await relay._ask(_count_rows) != left:
            await asyncio.sleep(0.01)
    for _ in range(3):
        await relay._ask(partial(ledger.trim, older_seconds=relay._keep_seconds))
    assert await relay._ask(_count_rows) == left


def _count_rows(connection: Any) -> int:
    return int(connection.execute(text("SELECT count(*) FROM tidings_outbox")).scalar_one())


async def test_tables_that_come_late_are_waited_for(database: str, caplog: pytest.LogCaptureFixture) -> None:
    made = engine(database)
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        async with asyncio.timeout(20):
            while not any("create_outbox" in record.message for record in caplog.records):
                await asyncio.sleep(0.01)
        Base.metadata.create_all(made)
        commit(made, "a")
        await broker.until(1)
    made.dispose()


async def test_an_error_of_ours_does_not_end_the_relay(
    made: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tidings.outbox.relay.RETRY_SECONDS_MAX", 0.01)
    broker = NotingBroker()
    relay = outbox.relay(made)
    plain, failures = relay._turn, [RuntimeError("ours")]

    async def turn() -> bool:
        if failures:
            raise failures.pop()
        return await plain()

    monkeypatch.setattr(relay, "_turn", turn)
    with caplog.at_level(logging.ERROR):
        async with running(relay, broker):
            commit(made, "a")
            await broker.until(1)
    assert "ours" in caplog.text


def test_bad_options_and_databases_are_refused(made: Engine) -> None:
    with pytest.raises(UsageError, match="poll_seconds above 0"):
        outbox.relay(made, poll_seconds=0)
    made.dialect.name, name = "mysql", made.dialect.name
    try:
        with pytest.raises(UsageError, match="PostgreSQL and SQLite, and this database is mysql"):
            outbox.relay(made)
    finally:
        made.dialect.name = name
