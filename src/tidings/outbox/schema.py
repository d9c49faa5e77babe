"""The outbox's tables, and the triggers that give each event its number.

A number is a place in the topic's order of commits. On PostgreSQL a sequence value is taken at the insert and
becomes visible at the commit, so ids say nothing of that order: a deferred constraint trigger numbers the rows
of a transaction when it commits, topic by topic in sorted order, and holds the topics' counter rows for no longer
than the commit itself. SQLite lets one transaction write at a time, so there the insert is early enough.
Triggers work for every writer: ORM, Core, another language, psql.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Connection,
    Double,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from tidings.core.errors import UsageError

DIALECTS = ("postgresql", "sqlite")


class Now(FunctionElement[float]):
    """Seconds since 1970 by the database's clock: it is the one clock that all relays share."""

    type = Double()
    inherit_cache = True


class _RandomToken(FunctionElement[str]):
    """32 hex digits."""

    type = Text()
    inherit_cache = True


_NOW = {"postgresql": "extract(epoch from clock_timestamp())", "sqlite": "((julianday('now') - 2440587.5) * 86400.0)"}
_TOKEN = {"postgresql": "replace(gen_random_uuid()::text, '-', '')", "sqlite": "lower(hex(randomblob(16)))"}


@compiles(Now)
def _now(_element: Now, compiler: SQLCompiler, **_options: Any) -> str:
    return _NOW[check_dialect(compiler.dialect.name)]


@compiles(_RandomToken)
def _random_token(_element: _RandomToken, compiler: SQLCompiler, **_options: Any) -> str:
    return _TOKEN[check_dialect(compiler.dialect.name)]


class Tables(NamedTuple):
    """The three tables in one MetaData."""

    events: Table
    topics: Table
    relay: Table


class Executes(Protocol):
    """What can run a statement: a SQLAlchemy Connection, or Alembic's ``op``."""

    def execute(self, statement: Any, /) -> Any:
        """Run it."""
        ...


def define(metadata: MetaData) -> Tables:
    """Add the tables to a MetaData, so that ``create_all`` makes them with their triggers. Twice is once."""
    known = metadata.tables.get("tidings_outbox")
    if known is not None:
        return Tables(known, metadata.tables["tidings_outbox_topics"], metadata.tables["tidings_outbox_relay"])
    waiting = "published_at IS NULL AND parked_at IS NULL"
    events = Table(
        "tidings_outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
        Column("tenant", Text),
        Column("topic", Text, nullable=False),
        Column("number", BigInteger, comment="its place among the topic's commits; a trigger gives it"),
        Column("token", Text, nullable=False, server_default=_RandomToken(), comment="of this event alone"),
        Column("event", Text, nullable=False),
        Column("entity_id", Text, nullable=False),
        Column("payload", Text, comment="JSON; NULL lets clients fetch the entity"),
        Column("user_id", Text),
        Column("trace_id", Text),
        Column("version", BigInteger),
        Column("timestamp", Text, comment="ISO 8601 with its zone; by default the time of publishing"),
        Column("exclude_user", Text),
        Column("exclude_session", Text),
        Column("created_at", Double, nullable=False, server_default=Now()),
        Column("published_at", Double),
        Column("parked_at", Double),
        Column("error", Text, comment="why it is parked"),
        Index("tidings_outbox_waiting", "id", postgresql_where=text(waiting), sqlite_where=text(waiting)),
        Index("tidings_outbox_order", "topic", "number"),
        Index(
            "tidings_outbox_published",
            "published_at",
            postgresql_where=text("published_at IS NOT NULL"),
            sqlite_where=text("published_at IS NOT NULL"),
        ),
        Index(
            "tidings_outbox_parked",
            "parked_at",
            postgresql_where=text("parked_at IS NOT NULL"),
            sqlite_where=text("parked_at IS NOT NULL"),
        ),
        Index("tidings_outbox_unnumbered", "id", postgresql_where=text("number IS NULL")).ddl_if(dialect="postgresql"),
        sqlite_autoincrement=True,  # an id is never given twice, so a row that was trimmed cannot come back as another
    )
    topics = Table(
        "tidings_outbox_topics",
        metadata,
        Column("tenant_key", Text, primary_key=True, comment="'' without a tenant, else ':' and its name"),
        Column("topic", Text, primary_key=True),
        Column("number", BigInteger, nullable=False, comment="the last that was given"),
        Column("failures", Integer, nullable=False, server_default=text("0")),
        Column("retry_at", Double, nullable=False, server_default=text("0")),
    )
    relay = Table(
        "tidings_outbox_relay",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("source", Text, nullable=False, comment="names this outbox to the broker"),
        Column("holder", Text, comment="the relay at work"),
        Column("held_until", Double, nullable=False, server_default=text("0")),
    )
    for dialect in DIALECTS:
        for statement in _after_tables(dialect):
            event.listen(relay, "after_create", _ddl(statement, dialect))
        for statement in _before_drop(dialect):
            event.listen(events, "before_drop", _ddl(statement, dialect))
    relay.add_is_dependent_on(topics)
    relay.add_is_dependent_on(events)
    return Tables(events, topics, relay)


def _ddl(statement: str, dialect: str) -> ExecutableDDLElement:
    ddl: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
    return ddl.execute_if(dialect=dialect)


def create_outbox(target: Executes) -> None:
    """Make the tables, in an Alembic migration or by hand::

        from tidings.outbox import create_outbox, drop_outbox

        def upgrade():
            create_outbox(op)

        def downgrade():
            drop_outbox(op)

    :param target: Alembic's ``op``, or a SQLAlchemy Connection.

    Raises UsageError on a database that is neither PostgreSQL nor SQLite.
    """
    dialect = _dialect_of(target)
    tables = define(MetaData())
    for table in tables:
        target.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if dialect == "postgresql" or index.name != "tidings_outbox_unnumbered":
                target.execute(CreateIndex(index))
    for statement in _after_tables(dialect):
        target.execute(text(statement))


def drop_outbox(target: Executes) -> None:
    """Undo :func:`create_outbox`; what was not published is lost."""
    for statement in _before_drop(_dialect_of(target)):
        target.execute(text(statement))
    for name in ("tidings_outbox_relay", "tidings_outbox_topics", "tidings_outbox"):
        target.execute(text(f"DROP TABLE {name}"))


def _dialect_of(target: Executes) -> str:
    if isinstance(target, Connection):
        return check_dialect(target.dialect.name)
    return check_dialect(target.get_context().dialect.name)  # type: ignore[attr-defined]


def check_dialect(name: str) -> str:
    """The dialect's name. Raises UsageError for a database that has no triggers of ours."""
    if name not in DIALECTS:
        raise UsageError(f"the outbox works on PostgreSQL and SQLite, and this database is {name}")
    return name


def _after_tables(dialect: str) -> list[str]:
    """The trigger, and the one row of the relay."""
    source = (
        f"INSERT INTO tidings_outbox_relay (id, source) SELECT 1, {_TOKEN[dialect]}"
        " WHERE NOT EXISTS (SELECT 1 FROM tidings_outbox_relay)"
    )
    if dialect == "postgresql":
        return [
            source,
            _POSTGRESQL_FUNCTION,
            # Deferred: it runs at the commit, for the rows that are still there, whatever savepoints did.
            "CREATE CONSTRAINT TRIGGER tidings_outbox_number AFTER INSERT ON tidings_outbox"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tidings_outbox_number()",
        ]
    return [source, _SQLITE_TRIGGER]


def _before_drop(dialect: str) -> list[str]:
    if dialect == "postgresql":
        return [
            "DROP TRIGGER IF EXISTS tidings_outbox_number ON tidings_outbox",
            "DROP FUNCTION IF EXISTS tidings_outbox_number()",
        ]
    return ["DROP TRIGGER IF EXISTS tidings_outbox_number"]


# Rows without a number are this transaction's own: every other's get theirs before anybody can see them. The
# first call numbers them all; the counters are taken in one order, so two commits cannot wait for each other.
_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION tidings_outbox_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    found_topic record;
    last_number bigint;
BEGIN
    PERFORM 1 FROM tidings_outbox WHERE id = NEW.id AND number IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    FOR found_topic IN
        SELECT mine.tenant_key, mine.topic, count(*) AS count FROM (
            SELECT coalesce(':' || tenant, '') AS tenant_key, topic FROM tidings_outbox WHERE number IS NULL
        ) AS mine
        GROUP BY mine.tenant_key, mine.topic ORDER BY mine.tenant_key COLLATE "C", mine.topic COLLATE "C"
    LOOP
        INSERT INTO tidings_outbox_topics AS counter (tenant_key, topic, number)
        VALUES (found_topic.tenant_key, found_topic.topic, found_topic.count)
        ON CONFLICT (tenant_key, topic) DO UPDATE SET number = counter.number + excluded.number
        RETURNING number INTO last_number;
        UPDATE tidings_outbox AS row SET number = last_number - found_topic.count + place.place
        FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS place FROM tidings_outbox
            WHERE number IS NULL AND topic = found_topic.topic
            AND coalesce(':' || tenant, '') = found_topic.tenant_key
        ) AS place
        WHERE row.id = place.id;
    END LOOP;
    RETURN NULL;
END $$
"""

_SQLITE_TRIGGER = """
CREATE TRIGGER tidings_outbox_number AFTER INSERT ON tidings_outbox BEGIN
    INSERT INTO tidings_outbox_topics (tenant_key, topic, number)
    VALUES (coalesce(':' || NEW.tenant, ''), NEW.topic, 1)
    ON CONFLICT (tenant_key, topic) DO UPDATE SET number = number + 1;
    UPDATE tidings_outbox SET number = (
        SELECT number FROM tidings_outbox_topics
        WHERE tenant_key = coalesce(':' || NEW.tenant, '') AND topic = NEW.topic
    ) WHERE id = NEW.id;
END
"""
