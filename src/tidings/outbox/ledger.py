"""What a relay asks of the outbox's tables, each in one short transaction of its own.

Every function takes a Connection whose transaction the caller begins and commits. Times are the database's,
in seconds since 1970: relays on several machines share no other clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, MetaData, Row, case, delete, func, insert, inspect, literal, select, text, update

from tidings.core.topics import TopicKey
from tidings.outbox.schema import Now, define

_TABLES = define(MetaData())
_EVENTS, _TOPICS, _RELAY = _TABLES
_IS_WAITING = (_EVENTS.c.published_at.is_(None)) & (_EVENTS.c.parked_at.is_(None))
_TRIM_ROWS_MAX = 1_000


class Waiting(NamedTuple):
    """A committed event that waits for its turn."""

    id: int
    tenant: str | None
    topic: str
    number: int
    token: str
    event: str
    entity_id: str
    payload: str | None
    user_id: str | None
    trace_id: str | None
    version: int | None
    timestamp: str | None
    exclude_user: str | None
    exclude_session: str | None
    created_at: float

    @property
    def key(self) -> TopicKey:
        """Whose topic it is for."""
        return TopicKey(self.tenant, self.topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """An event that could not be published, and was set aside so that its topic goes on."""

    id: int
    tenant: str | None
    topic: str
    event: str
    entity_id: str
    created_at: float
    parked_at: float
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the outbox stands.

    :ivar waiting: events that are committed and not published yet.
    :ivar oldest_seconds: for how long the first of them has waited; 0 where none does.
    :ivar parked: events that an operator should look at.
    :ivar holder: the relay at work, None where none is.
    """

    waiting: int
    oldest_seconds: float
    parked: int
    holder: str | None


_COLUMNS = [_EVENTS.c[name] for name in Waiting._fields]

# A number may be committed after a higher id: so each topic's rows are taken in the order of their numbers, all
# of one snapshot, from the topics that have waited longest.
_WAITING_POSTGRESQL = text(f"""
WITH first AS (
    SELECT tenant, topic FROM tidings_outbox AS o
    WHERE published_at IS NULL AND parked_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM tidings_outbox_topics AS t
        WHERE t.tenant_key = coalesce(':' || o.tenant, '') AND t.topic = o.topic
        AND t.retry_at > extract(epoch from clock_timestamp())
    )
    ORDER BY id LIMIT :count
), due AS (SELECT DISTINCT tenant, topic FROM first)
SELECT {", ".join(f"o.{name}" for name in Waiting._fields)}
FROM due CROSS JOIN LATERAL (
    SELECT * FROM tidings_outbox AS o
    WHERE o.topic = due.topic AND o.tenant IS NOT DISTINCT FROM due.tenant
    AND o.published_at IS NULL AND o.parked_at IS NULL AND o.number IS NOT NULL
    ORDER BY o.number LIMIT :count
) AS o
ORDER BY o.topic, o.tenant, o.number
""")

# One writer at a time: there ids and numbers have one order.
_WAITING_SQLITE = text(f"""
SELECT {", ".join(f"o.{name}" for name in Waiting._fields)} FROM tidings_outbox AS o
JOIN tidings_outbox_topics AS t ON t.tenant_key = coalesce(':' || o.tenant, '') AND t.topic = o.topic
WHERE o.published_at IS NULL AND o.parked_at IS NULL AND t.retry_at <= (julianday('now') - 2440587.5) * 86400.0
ORDER BY o.id LIMIT :count
""")


def exists(connection: Connection) -> bool:
    """Whether the tables have been made."""
    return inspect(connection).has_table(_RELAY.name)


def source(connection: Connection) -> str:
    """The name by which brokers know this outbox."""
    return str(connection.execute(select(_RELAY.c.source)).scalar_one())


def hold(connection: Connection, holder: str, seconds: float) -> bool:
    """Be the relay at work for so long, or stay it; False while another one is.

    A hint that saves work, not what order rests on: the broker takes each number once (F62).
    """
    free = (_RELAY.c.holder == holder) | (_RELAY.c.holder.is_(None)) | (_RELAY.c.held_until < Now())
    done = connection.execute(update(_RELAY).where(free).values(holder=holder, held_until=Now() + seconds))
    return done.rowcount == 1


def let_go(connection: Connection, holder: str) -> None:
    """Let another relay begin at once."""
    connection.execute(update(_RELAY).where(_RELAY.c.holder == holder).values(holder=None, held_until=0))


def waiting(connection: Connection, count: int) -> list[Waiting]:
    """What is due: of each topic its first events, without a hole but for those that are parked."""
    statement = _WAITING_POSTGRESQL if connection.dialect.name == "postgresql" else _WAITING_SQLITE
    rows = connection.execute(statement, {"count": count})
    return [Waiting(*row) for row in rows]


def is_waiting(connection: Connection) -> bool:
    """Whether anything waits at all: what is asked again and again."""
    return connection.execute(select(_EVENTS.c.id).where(_IS_WAITING).limit(1)).first() is not None


def mark(connection: Connection, ids: Sequence[int]) -> None:
    """Say that these were published."""
    if ids:
        connection.execute(update(_EVENTS).where(_EVENTS.c.id.in_(ids)).values(published_at=Now()))


def mark_up_to(connection: Connection, key: TopicKey, number: int, token: str) -> bool:
    """Say that the topic's events up to a number were published, if that number is the event of that token."""
    mine = (_EVENTS.c.topic == key.topic) & (_EVENTS.c.tenant.is_not_distinct_from(key.tenant))
    is_it = mine & (_EVENTS.c.number == number) & (_EVENTS.c.token == token)
    known = select(is_it.self_group()).where(is_it).correlate(None).exists()
    # The write first: on SQLite a transaction that has read and then writes may fail for good (F66).
    connection.execute(
        update(_EVENTS).where(mine, _IS_WAITING, _EVENTS.c.number <= number, known).values(published_at=Now())
    )
    return connection.execute(select(_EVENTS.c.id).where(is_it)).first() is not None


def park(connection: Connection, row_id: int, error: str) -> None:
    """Set an event aside."""
    connection.execute(update(_EVENTS).where(_EVENTS.c.id == row_id).values(parked_at=Now(), error=error[:1_000]))


def postpone(connection: Connection, key: TopicKey, first_seconds: float, seconds_max: float) -> int:
    """Leave a topic alone, twice as long each time; how often in a row that was."""
    mine = (_TOPICS.c.topic == key.topic) & (_TOPICS.c.tenant_key == _tenant_key(key.tenant))
    pause = first_seconds * func.power(2, _TOPICS.c.failures)
    if connection.dialect.name == "sqlite":  # which need not have the function, nor least()
        pause = first_seconds * literal(1).op("<<")(_TOPICS.c.failures)
    pause = case((pause > seconds_max, seconds_max), else_=pause)
    connection.execute(update(_TOPICS).where(mine).values(failures=_TOPICS.c.failures + 1, retry_at=Now() + pause))
    return int(connection.execute(select(_TOPICS.c.failures).where(mine)).scalar_one())


def resume(connection: Connection, key: TopicKey) -> None:
    """The topic works again, or its event was parked."""
    mine = (_TOPICS.c.topic == key.topic) & (_TOPICS.c.tenant_key == _tenant_key(key.tenant))
    connection.execute(update(_TOPICS).where(mine).values(failures=0, retry_at=0))


def trim(connection: Connection, older_seconds: float) -> int:
    """Drop some of what was published so long ago; how many."""
    old = (
        select(_EVENTS.c.id)
        .where(_EVENTS.c.published_at < Now() - older_seconds)
        .order_by(_EVENTS.c.published_at)
        .limit(_TRIM_ROWS_MAX)
    )
    return connection.execute(delete(_EVENTS).where(_EVENTS.c.id.in_(old))).rowcount


def status(connection: Connection) -> Status:
    """How the outbox stands. Counts every row that waits: for operators, not for each turn."""
    count, oldest = connection.execute(select(func.count(), func.min(_EVENTS.c.created_at)).where(_IS_WAITING)).one()
    parked_count = connection.execute(select(func.count()).where(_EVENTS.c.parked_at.is_not(None))).scalar_one()
    holder, held_until, at = connection.execute(select(_RELAY.c.holder, _RELAY.c.held_until, Now())).one()
    return Status(
        waiting=count,
        oldest_seconds=0.0 if oldest is None else max(0.0, at - oldest),
        parked=parked_count,
        holder=holder if held_until >= at else None,
    )


def parked(connection: Connection, limit: int) -> list[Parked]:
    """The events that were set aside, the newest first."""
    columns = [_EVENTS.c[name] for name in Parked.__dataclass_fields__]
    statement = select(*columns).where(_EVENTS.c.parked_at.is_not(None)).order_by(_EVENTS.c.parked_at.desc())
    rows: Iterable[Row[Any]] = connection.execute(statement.limit(limit))
    return [Parked(**row._mapping) for row in rows]


def unpark(connection: Connection, row_id: int) -> bool:
    """Send a parked event after all, as the newest of its topic; False where there is none."""
    names = [c.name for c in _EVENTS.c if c.name not in ("id", "number", "token", "published_at", "parked_at", "error")]
    is_it = (_EVENTS.c.id == row_id) & (_EVENTS.c.parked_at.is_not(None))
    again = insert(_EVENTS).from_select(names, select(*(_EVENTS.c[name] for name in names)).where(is_it))
    connection.execute(again)
    return discard(connection, row_id)


def discard(connection: Connection, row_id: int) -> bool:
    """Drop a parked event; False where there is none."""
    is_it = (_EVENTS.c.id == row_id) & (_EVENTS.c.parked_at.is_not(None))
    return connection.execute(delete(_EVENTS).where(is_it)).rowcount == 1


def is_replica(connection: Connection) -> bool:
    """Whether this is a PostgreSQL that follows another one, on which nothing can be marked (F68)."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.execute(text("SELECT pg_is_in_recovery()")).scalar_one())


def _tenant_key(tenant: str | None) -> str:
    return "" if tenant is None else f":{tenant}"
