"""The relay: reads what was committed, publishes it in each topic's order, and marks it.

Every failure is survived by doing it again: the broker takes each number once, so an event that was published
and not marked is known when it comes back, and two relays at once do no harm. What the broker refuses for good
is parked, and the topic goes on under a new epoch: its subscribers are told, never silently a step behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from tidings.core.codes import ErrorCode
from tidings.core.errors import BrokerUnavailable, PeerError, UsageError
from tidings.core.events import Draft, Exclude, draft_from, format_timestamp
from tidings.core.numbering import Numbered, OutOfSequence
from tidings.core.topics import TopicKey
from tidings.outbox import ledger
from tidings.outbox.ledger import Parked, Status, Waiting
from tidings.outbox.schema import check_dialect
from tidings.ports import PublishNumbered, Stored
from tidings.settings import ConfigurationError

log = logging.getLogger("tidings.outbox")
_T = TypeVar("_T")

RETRY_SECONDS = 0.2
HOLD_SECONDS = 5.0  # after a relay was killed, another one begins that much later at most
RETRY_SECONDS_MAX = 30.0
FAILURES_MAX = 10  # in a row, about two minutes of waiting: then the event is parked
_TRIM_SECONDS = 10.0


class Relay:
    """Publishes one outbox. :meth:`Outbox.relay` makes it; ``Tidings(outbox=...)`` or ``tidings relay`` runs it.

    :param engine: of the database that holds the outbox; not a replica.
    :param poll_seconds: how often it looks when nobody wakes it: commits of other processes wait that long.
    :param batch_events: how many it reads at a time.
    :param keep_seconds: for how long published events stay in the table, for those who want to look.
    """

    def __init__(
        self,
        engine: Engine | AsyncEngine,
        *,
        poll_seconds: float = 0.05,
        batch_events: int = 500,
        keep_seconds: float = 600.0,
    ) -> None:
        check_dialect(engine.dialect.name)
        if poll_seconds <= 0 or batch_events < 1 or keep_seconds < 0:
            raise UsageError("a relay needs poll_seconds above 0, batch_events of 1 or more, keep_seconds of 0 or more")
        self._engine = engine
        self._poll_seconds = poll_seconds
        self._batch_events = batch_events
        self._keep_seconds = keep_seconds
        self._name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._source = ""
        self._publish: PublishNumbered | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._held_until = 0.0  # by the loop's clock
        self._trimmed_at = float("-inf")
        self._postponed: set[TopicKey] = set()
        self.published_count = 0
        self.parked_count = 0

    # As the server runs it (``tidings.ports.Source``).

    async def start(self, publish: PublishNumbered) -> None:
        """Begin; returns at once, for a database that is not there yet is waited for."""
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._awake, self._stopped = asyncio.Event(), asyncio.Event()  # of this loop: there may have been another
        self._held_until = 0.0
        self._task = asyncio.create_task(self._run(), name="tidings relay")

    async def close(self) -> None:
        """Finish what is under way, and let another relay begin."""
        self._stopping = True
        self._awake.set()
        self._stopped.set()
        if self._task is not None:
            await self._task
            self._task = None
        self._loop = None

    def wake(self) -> None:
        """Say that something was committed. Safe from any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._awake.set)

    async def check(self) -> None:
        """Raise ConfigurationError, one line, for a database on which a relay cannot work."""
        try:
            has_tables = await self._ask(ledger.exists)
        except (DBAPIError, OSError) as error:
            why = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
            raise ConfigurationError(f"the outbox's database does not answer: {why}") from error
        if not has_tables:
            raise ConfigurationError(
                "the database has no table tidings_outbox: make it by create_outbox(op) in a migration, "
                "or by create_all of the metadata that was given to Outbox"
            )
        if await self._ask(ledger.is_replica):
            raise ConfigurationError(
                "the outbox's database is a replica, where nothing can be marked; name the primary"
            )
        self._source = await self._ask(ledger.source)

    def statistics(self) -> dict[str, int]:
        """What this relay has done."""
        return {"outbox_published": self.published_count, "outbox_parked": self.parked_count}

    # For operators.

    async def status(self) -> Status:
        """How the outbox stands."""
        return await self._ask(ledger.status)

    async def parked(self, limit: int = 100) -> list[Parked]:
        """The events that were set aside, the newest first."""
        return await self._ask(partial(ledger.parked, limit=limit))

    async def unpark(self, row_id: int) -> bool:
        """Publish a parked event after all, as the newest of its topic; False where there is none."""
        done = await self._ask(partial(ledger.unpark, row_id=row_id))
        self.wake()
        return done

    async def discard(self, row_id: int) -> bool:
        """Drop a parked event; False where there is none."""
        return await self._ask(partial(ledger.discard, row_id=row_id))

    # Inside.

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                is_idle = not await self._turn()
            except (BrokerUnavailable, ConfigurationError, SQLAlchemyError, OSError) as error:
                failures += 1
                self._fail(error, failures)
                # Nobody wakes it here: commits go on, and would make it fail as fast as it can.
                await self._pause(self._stopped, random.uniform(0.5, 1.0) * min(RETRY_SECONDS_MAX, 0.1 * 2**failures))
            except Exception:
                log.exception("the outbox's relay failed; it goes on")
                await self._pause(self._stopped, RETRY_SECONDS_MAX)
            else:
                failures = 0
                if is_idle:
                    await self._pause(self._awake, self._poll_seconds)
                self._awake.clear()
        with suppress(Exception):  # the database may be gone: then the hold runs out by itself
            await self._ask(partial(ledger.let_go, holder=self._name))

    async def _pause(self, until: asyncio.Event, seconds: float) -> None:
        if not self._stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), seconds)

    async def _turn(self) -> bool:
        """One look; whether there may be more to do at once."""
        if not await self._hold():
            return False
        rows: list[Waiting] = []
        if await self._ask(ledger.is_waiting):
            rows = await self._ask(partial(ledger.waiting, count=self._batch_events))
        if not rows:
            await self._trim()
            return False
        await self._send(rows)
        return True

    async def _hold(self) -> bool:
        """Whether this is the relay at work; asked again in good time before another one could be."""
        at = asyncio.get_running_loop().time()
        if at < self._held_until - HOLD_SECONDS * 2 / 3:
            return True
        if not self._source:
            await self.check()
        if not await self._ask(partial(ledger.hold, holder=self._name, seconds=HOLD_SECONDS)):
            self._held_until = 0.0
            return False
        if not self._held_until:
            log.info("relaying the outbox")
        self._held_until = at + HOLD_SECONDS
        return True

    async def _send(self, rows: list[Waiting]) -> None:
        """Publish a batch: all at once, for each topic's order is the order of the calls."""
        answers = await asyncio.gather(*(self._publish_row(row) for row in rows), return_exceptions=True)
        published: list[int] = []
        refused: list[tuple[Waiting, BaseException]] = []
        unavailable: BaseException | None = None
        pairs = zip(rows, answers, strict=True)
        for _key, topic_pairs in groupby(sorted(pairs, key=_topic_and_number), key=lambda pair: pair[0].key):
            for row, answer in topic_pairs:
                if isinstance(answer, Stored):
                    published.append(row.id)
                    continue
                if isinstance(answer, BrokerUnavailable):
                    unavailable = answer
                else:
                    refused.append((row, answer))
                break  # what follows it was refused because of it
        await self._ask(partial(ledger.mark, ids=published))
        self.published_count += len(published)
        for key in self._postponed & {row.key for row in rows if row.id in published}:
            await self._ask(partial(ledger.resume, key=key))
            self._postponed.discard(key)
        for row, reason in refused:
            await self._settle(row, reason)
        if unavailable is not None:
            raise unavailable

    async def _publish_row(self, row: Waiting, *, afresh: bool = False) -> Stored:
        assert self._publish is not None
        exclude = None
        if row.exclude_user is not None or row.exclude_session is not None:
            exclude = Exclude(user=row.exclude_user, session=row.exclude_session)
        numbered = Numbered(self._source, row.number, row.token, afresh)
        return await self._publish(_draft(row), tenant=row.tenant, exclude=exclude, numbered=numbered)

    async def _settle(self, row: Waiting, reason: BaseException) -> None:
        """Find a way on for a topic whose next event was not taken."""
        if isinstance(reason, OutOfSequence):
            await self._resume(row, reason)
        elif isinstance(reason, PeerError):
            await self._park(row, f"{reason.code.value}: {reason.message}")
        elif isinstance(reason, Exception):
            pause = partial(ledger.postpone, first_seconds=RETRY_SECONDS, seconds_max=RETRY_SECONDS_MAX)
            failures = await self._ask(partial(pause, key=row.key))
            if failures >= FAILURES_MAX:
                await self._park(row, f"{type(reason).__name__}: {reason}")
            else:
                self._postponed.add(row.key)
                log.warning("event %d for %s failed %d times", row.id, row.topic, failures, exc_info=reason)
        else:
            raise reason

    async def _resume(self, row: Waiting, reason: OutOfSequence) -> None:
        last = reason.last
        if last is None:  # as after every restart of a broker in memory
            log.info("the broker knows nothing of %s, which is at %d: it begins anew", row.topic, row.number)
        elif last.number < row.number:
            log.warning("events before %d of %s are missing: its subscribers are told", row.number, row.topic)
        else:
            known = partial(ledger.mark_up_to, key=row.key, number=last.number, token=last.token)
            if await self._ask(known):
                return  # published before, by a relay that could not mark it any more
            log.warning("the outbox was set back behind %d of %s: its subscribers are told", last.number, row.topic)
        await self._publish_row(row, afresh=True)
        await self._ask(partial(ledger.mark, ids=[row.id]))
        self.published_count += 1

    async def _park(self, row: Waiting, error: str) -> None:
        await self._ask(partial(ledger.park, row_id=row.id, error=error))
        await self._ask(partial(ledger.resume, key=row.key))
        self._postponed.discard(row.key)
        self.parked_count += 1
        log.error("event %d (%s for %s) cannot be published and was parked: %s", row.id, row.event, row.topic, error)

    async def _trim(self) -> None:
        at = asyncio.get_running_loop().time()
        if at - self._trimmed_at < _TRIM_SECONDS:
            return
        if not await self._ask(partial(ledger.trim, older_seconds=self._keep_seconds)):
            self._trimmed_at = at

    def _fail(self, error: Exception, failures: int) -> None:
        # Once for each trouble; missing tables get the time that an application takes to make them.
        if failures == (3 if isinstance(error, ConfigurationError) else 1):
            log.error("the outbox waits: %s", error.orig if isinstance(error, DBAPIError) else error)
        self._held_until = 0.0

    async def _ask(self, question: Callable[[Connection], _T]) -> _T:
        """In a transaction of its own; a synchronous engine's in a thread."""
        if isinstance(self._engine, AsyncEngine):
            async with self._engine.begin() as connection:
                return await connection.run_sync(question)
        return await asyncio.to_thread(_ask_now, self._engine, question)


def _ask_now(engine: Engine, question: Callable[[Connection], _T]) -> _T:
    with engine.begin() as connection:
        return question(connection)


def _topic_and_number(pair: tuple[Waiting, object]) -> tuple[str, str, int]:
    row = pair[0]
    return row.topic, "" if row.tenant is None else f":{row.tenant}", row.number


def _draft(row: Waiting) -> Draft:
    """Check a row as if a stranger had written it: whoever may write to the database can. Raises PeerError."""
    data: dict[str, object] = {"entity_id": row.entity_id}
    if row.user_id is not None:
        data["user_id"] = row.user_id
    data["timestamp"] = row.timestamp or format_timestamp(datetime.fromtimestamp(row.created_at, UTC))
    draft = draft_from(
        {"topic": row.topic, "event": row.event, "data": data, "trace_id": row.trace_id, "version": row.version}
    )
    data["payload"] = None
    if row.payload is not None:
        text = row.payload.encode()
        try:
            msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            raise PeerError(ErrorCode.BAD_EVENT, f"payload is not JSON: {error}.", path="payload") from None
        data["payload"] = msgspec.Raw(text)
    return msgspec.structs.replace(draft, data=data)
