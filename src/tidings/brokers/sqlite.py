"""The broker of one machine: every event in one SQLite file, on the disk before it is answered.

The record is the file, and several processes share it. Three threads do what may wait: one writes, one reads
histories, one hands on what is new. A restart, even after ``kill -9``, finds the same epochs, and recovers whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from tidings.brokers.memory import random_epoch
from tidings.brokers.sharing import SharedReads
from tidings.brokers.sqlite_file import Database
from tidings.brokers.sqlite_ledger import StoredKey, to_bytes
from tidings.brokers.sqlite_presence import SQLitePresence
from tidings.brokers.sqlite_reader import Known, Read, Reader, Tail, read_history
from tidings.brokers.sqlite_wakes import Wakes
from tidings.brokers.sqlite_worker import Worker
from tidings.brokers.sqlite_writer import Publish, Use, Writer
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits
from tidings.core.numbering import Numbered
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.ports import Clock, Receiver, Stored

_T = TypeVar("_T")

ANSWER_SECONDS_MAX = 15.0  # a disk that hangs: longer than a lock is waited for, and the batch before too


class _Question(NamedTuple):
    key: StoredKey
    since: Cursor | None
    limit: int


class SQLiteBroker:
    """Topics of one file (``tidings.ports.Broker``).

    :param path: the file; its folder must exist. Raises ConfigurationError, one line, for what cannot work.
    :param limits: ``history_events``, ``history_seconds`` and ``idempotency_seconds`` bound what is kept of
        each topic. A topic that nobody has used for a day, and of which nothing is left, is forgotten.
    :param clock: whose ``now`` dates what is kept, for it must hold over a restart.
    :param new_epoch: gives the name of a topic's new life; random, for two lives must never share one.
    """

    def __init__(
        self, path: Path, limits: Limits, clock: Clock, *, new_epoch: Callable[[], str] = random_epoch
    ) -> None:
        self._path = path.resolve()  # so that two names of one file share its bells
        Database(self._path).check()
        self._limits = limits
        self._clock = clock
        self._new_epoch = new_epoch
        self._joined: set[StoredKey] = set()
        self._receiver: Receiver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._workers: list[Worker] = []
        self._reads: SharedReads[_Question, History] = SharedReads(self._read)

    async def start(self, receiver: Receiver) -> None:
        """Open the file, or make it. Raises ConfigurationError for one that is not ours, and BrokerUnavailable."""
        loop = asyncio.get_running_loop()
        database = Database(self._path)
        wakes = Wakes(self._path.with_name(f"{self._path.name}-wake"))
        writer = Writer(
            database,
            loop,
            limits=self._limits,
            clock=self._clock,
            new_epoch=self._new_epoch,
            on_stored=wakes.ring,
        )
        tail = Tail(
            database,
            loop,
            wakes,
            is_wanted=self._is_wanted,
            on_page=self._received,
            on_restored=self._restored,
        )
        reader = Reader(database, loop)
        try:
            for worker in (tail, writer, reader):
                await worker.start()
                self._workers.append(worker)
        except BaseException:
            await self._stop()
            raise
        self._loop, self._writer, self._reader = loop, writer, reader
        self._receiver = receiver

    async def close(self) -> None:
        """Store what waits, and let go of the file; later calls raise BrokerUnavailable. No thread is left."""
        self._receiver = None
        self._writer = self._reader = None
        self._joined.clear()
        await self._stop()

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        """Store, together with all that waits, and tell every process. Raises BrokerUnavailable and OutOfSequence."""
        writer, loop = self._running(self._writer)
        answer: asyncio.Future[Stored] = loop.create_future()
        known_by = None if idempotency_key is None else to_bytes(idempotency_key)
        writer.ask(Publish(StoredKey.of(key), body, exclude, known_by, numbered, answer))
        return await self._answered(answer)

    async def join(self, key: TopicKey) -> None:
        """From now on the receiver is told of the key's events."""
        self._joined.add(StoredKey.of(key))

    async def leave(self, key: TopicKey) -> None:
        """Stop that."""
        self._joined.discard(StoredKey.of(key))

    async def head(self, key: TopicKey) -> Cursor:
        """Where the newest event stands. Raises BrokerUnavailable."""
        return (await self._reads.ask(_Question(StoredKey.of(key), None, 0))).head

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        """The events after ``since``, at most ``limit`` (0: all that are kept), and the head. May raise so too."""
        return await self._reads.ask(_Question(StoredKey.of(key), since, limit))

    def presence(self) -> SQLitePresence:
        """Of all processes on this file, in another one beside it: it is written often, and need not be kept."""
        return SQLitePresence(self._path.with_name(f"{self._path.name}-presence"), self._clock)

    def statistics(self) -> dict[str, int]:
        """How many keys are joined, and what this process has written: events, in how many commits."""
        writer = self._writer
        return {
            "joined": len(self._joined),
            "commits": 0 if writer is None else writer.commits,
            "events_stored": 0 if writer is None else writer.events_stored,
        }

    async def _read(self, asked: _Question) -> History:
        key, since, limit = asked
        reader, loop = self._running(self._reader)
        now = int(self._clock.now().timestamp() * 1_000)
        answer: asyncio.Future[Known | None] = loop.create_future()
        question = partial(read_history, limits=self._limits, key=key, since=since, limit=limit, now=now)
        reader.ask(Read(question, answer))
        known = await self._answered(answer)
        if known is None:
            return History(await self._answered(self._use(key)))
        if known.is_use_stale:
            self._use(key).add_done_callback(_disregard)  # the answer need not wait for it
        return known.history

    def _use(self, key: StoredKey) -> asyncio.Future[Cursor]:
        """Write down that the topic is in use, which begins its life; gives its head."""
        writer, loop = self._running(self._writer)
        answer: asyncio.Future[Cursor] = loop.create_future()
        writer.ask(Use(key, answer))
        return answer

    def _running(self, worker: _T | None) -> tuple[_T, asyncio.AbstractEventLoop]:
        if worker is None or self._loop is None:
            raise BrokerUnavailable("The SQLite broker is closed: this server has not started, or has shut down.")
        return worker, self._loop

    async def _answered(self, answer: asyncio.Future[_T]) -> _T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await answer
        except TimeoutError:
            raise BrokerUnavailable(
                f"The SQLite broker did not answer within {ANSWER_SECONDS_MAX:g} seconds: the disk is slow, or hangs."
            ) from None

    async def _stop(self) -> None:
        """The writer before the tail, for it rings that bell."""
        while self._workers:
            await self._workers[-1].stop()
            self._workers.pop()

    # What the tail calls: the first in its thread, the others on the event loop.

    def _is_wanted(self, key: StoredKey) -> bool:
        joined = self._joined
        return key in joined or key.wildcard in joined

    def _received(self, publications: list[Publication]) -> None:
        for publication in publications:
            if self._receiver is not None:
                self._receiver.received(publication)

    def _restored(self) -> None:
        if self._receiver is not None:
            self._receiver.interrupted()


def _disregard(answer: asyncio.Future[Cursor]) -> None:
    if not answer.cancelled():
        answer.exception()  # was it stored or not: the next read asks again
