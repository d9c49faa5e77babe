"""The one who writes: all that waits when a commit ends goes into the next transaction."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from tidings.brokers import sqlite_file
from tidings.brokers.sqlite_file import Database, is_busy, roll_back, wait_out_locks
from tidings.brokers.sqlite_ledger import Ledger, StoredKey
from tidings.brokers.sqlite_worker import Worker, unavailable
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.core.numbering import Numbered, OutOfSequence
from tidings.ports import Clock, Stored

log = logging.getLogger("tidings.sqlite")

_EVENTS_MAX = 512  # in one transaction: readers see them all at once, and a commit stays short
_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Publish:
    """An event that waits to be stored."""

    key: StoredKey
    body: bytes
    exclude: Exclude | None
    idempotency_key: bytes | None
    numbered: Numbered | None
    answer: asyncio.Future[Stored]


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A topic to begin, if it has not, or whose time of use is to be moved."""

    key: StoredKey
    answer: asyncio.Future[Cursor]


class Writer(Worker):
    """Takes requests from the event loop, in order.

    :param on_stored: called in the thread after a commit that stored events.
    """

    def __init__(
        self,
        database: Database,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits,
        clock: Clock,
        new_epoch: Callable[[], str],
        on_stored: Callable[[], None],
    ) -> None:
        super().__init__("writer", database, loop)
        self.commits = 0
        self.events_stored = 0
        self._limits = limits
        self._clock = clock
        self._new_epoch = new_epoch
        self._on_stored = on_stored
        self._waiting: SimpleQueue[Publish | Use | None] = SimpleQueue()
        self._is_failing = False

    def ask(self, request: Publish | Use) -> None:
        """Queue it. Called on the event loop."""
        self._waiting.put(request)

    def halt(self) -> None:
        """End after what waits already."""
        self._waiting.put(None)

    def work(self) -> None:
        """Transaction after transaction, until the mark of the end."""
        ending = False
        while not ending:
            requests, ending = self._take()
            if not requests:
                continue
            try:
                results, stored_count = self._commit(requests)
            except Exception as error:
                self._failed(error, requests)
                continue
            self._is_failing = False
            self.commits += 1
            self.events_stored += stored_count
            if stored_count:
                self._on_stored()
            self.answer(zip((request.answer for request in requests), results, strict=True))

    def _take(self) -> tuple[list[Publish | Use], bool]:
        """All that waits, up to the bounds of a transaction; blocks until something does. And whether it is the end."""
        requests: list[Publish | Use] = []
        size_bytes = 0
        request = self._waiting.get()
        while request is not None:
            if not request.answer.done():  # else who asked has given up, and was told that nothing is known
                requests.append(request)
                size_bytes += len(request.body) if isinstance(request, Publish) else 0
            if len(requests) >= _EVENTS_MAX or size_bytes >= _BYTES_MAX:
                return requests, False
            try:
                request = self._waiting.get_nowait()
            except Empty:
                return requests, False
        return requests, True

    def _commit(self, requests: list[Publish | Use]) -> tuple[list[Any], int]:
        """One transaction: the results in order, and how many events were new."""
        connection = self.handle.get()
        # The lock is taken before the first read: else another writer could come in between (F66).
        wait_out_locks(lambda: connection.execute("BEGIN IMMEDIATE"), self.stopping, sqlite_file.BUSY_SECONDS_MAX)
        try:
            now = int(self._clock.now().timestamp() * 1_000)
            ledger = Ledger(connection, self._limits, now, self._new_epoch)
            publishes = sum(isinstance(request, Publish) for request in requests)
            ledger.sweep(publishes)
            results: list[Any] = []
            stored_count = 0
            for request in requests:
                if isinstance(request, Publish):
                    stored = _publish(ledger, request)
                    stored_count += isinstance(stored, Stored) and not stored.repeated
                    results.append(stored)
                else:
                    results.append(ledger.head(request.key))
            ledger.finish()
            connection.execute("COMMIT")
        finally:
            roll_back(connection)
        return results, stored_count

    def _failed(self, error: Exception, requests: list[Publish | Use]) -> None:
        """Nothing of the transaction is answered as stored; the next begins on a fresh connection."""
        if not is_busy(error):
            self.handle.drop()
        if not self._is_failing:  # once for each trouble, not for each batch
            known = isinstance(error, sqlite3.Error | BrokerUnavailable)
            log.error("publishes fail: %s", error, exc_info=None if known else error)
        self._is_failing = True
        advice = "; a repeat with the same idempotency key is safe"
        self.answer((request.answer, unavailable(error, "store the event", advice)) for request in requests)


def _publish(ledger: Ledger, request: Publish) -> Stored | OutOfSequence:
    """The answer; one that is refused leaves the others of the transaction as they are."""
    try:
        return ledger.publish(
            request.key, request.body, request.exclude, request.idempotency_key, numbered=request.numbered
        )
    except OutOfSequence as refusal:
        return refusal
