"""One outbox on each kind of database, by asynchronous and by synchronous drivers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from tests.databases import postgresql
from tests.unit.outbox.rig import Base, engine


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[str]:
    with postgresql() as address:
        yield address


_numbers = iter(range(1, 1_000_000))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database: its URL without a driver, such as ``sqlite://…`` or ``postgresql://…``."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/app.sqlite3"
    address = request.getfixturevalue("postgresql_address")
    name = f"outbox_{next(_numbers)}"
    admin = create_engine(f"postgresql+psycopg://postgres@{address}/postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return f"postgresql://postgres@{address}/{name}"


@pytest.fixture
def made(database: str) -> Iterator[Engine]:
    """An engine of a database with the tables in it."""
    made = engine(database)
    Base.metadata.create_all(made)
    yield made
    made.dispose()
