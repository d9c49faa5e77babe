"""The tables by a migration: the same as by ``create_all``, and gone again."""

from __future__ import annotations

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, MetaData, create_engine, inspect
from sqlalchemy.orm import Session

from tests.unit.outbox.rig import NotingBroker, engine, outbox, running
from tidings import UsageError
from tidings.outbox import Outbox, create_outbox, drop_outbox


def _described(made: Engine) -> object:
    looked = inspect(made)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in looked.get_columns(table)],
            sorted((str(i["name"]), tuple(i["column_names"])) for i in looked.get_indexes(table)),
        )
        for table in sorted(looked.get_table_names())
    }


async def test_a_migration_makes_what_create_all_makes_and_undoes_it(database: str) -> None:
    made = engine(database)
    with made.begin() as connection:
        create_outbox(Operations(MigrationContext.configure(connection)))
    by_migration = _described(made)
    broker = NotingBroker()
    async with running(outbox.relay(made), broker):
        with Session(made) as session, session.begin():
            outbox.add(session, "gift-list:1", "ADDED", entity_id="e")
        await broker.until(1)
    with made.begin() as connection:
        drop_outbox(Operations(MigrationContext.configure(connection)))
    assert inspect(made).get_table_names() == []

    by_models = MetaData()
    Outbox(by_models)
    Outbox(by_models)  # twice is once
    by_models.create_all(made)
    assert _described(made) == by_migration
    by_models.drop_all(made)
    with made.begin() as connection:
        create_outbox(connection)  # a plain connection does as well; nothing was left over
        drop_outbox(connection)
    made.dispose()


def test_another_database_is_refused() -> None:
    made = create_engine("sqlite://")
    made.dialect.name = "mysql"
    with made.connect() as connection, pytest.raises(UsageError, match="this database is mysql"):
        create_outbox(connection)
    made.dispose()
