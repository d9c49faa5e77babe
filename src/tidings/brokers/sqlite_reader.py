"""Those who read: positions and histories on request, and new events for the whole process as they come."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from tidings.brokers import sqlite_file
from tidings.brokers.sqlite_file import Database, is_busy, roll_back, wait_out_locks
from tidings.brokers.sqlite_ledger import StoredKey, is_event_too_old, is_use_stale, to_text
from tidings.brokers.sqlite_wakes import Wakes
from tidings.brokers.sqlite_worker import Worker, unavailable
from tidings.core.cursor import Cursor
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits
from tidings.core.recovery import History

log = logging.getLogger("tidings.sqlite")

POLL_SECONDS = 0.25  # a wake may be lost: how long an event may then stay unseen
_PAGE_SEQUENCES = 256  # of the new events, handed to the event loop at a time
_PAGE_BYTES = 4 * 1024 * 1024


class Known(NamedTuple):
    """A topic's history, and whether its time of use has to be moved."""

    history: History
    is_use_stale: bool


def read_history(
    connection: sqlite3.Connection, limits: Limits, key: StoredKey, since: Cursor | None, limit: int, now: int
) -> Known | None:
    """Head and events in one moment; without ``since`` the head alone. None for a topic that has no life yet.

    What ought to have been dropped is left out though it is still there: the limits hold to the event.
    """
    connection.execute("BEGIN")
    try:
        row = connection.execute(
            "SELECT id, epoch, newest, dropped_by, used_at FROM topics WHERE tenant = ? AND topic = ?", key
        ).fetchone()
        if row is None:
            return None
        topic_id, epoch, newest, dropped_by, used_at = row
        head = Cursor(epoch, newest)
        is_stale = is_use_stale(used_at, now, limits)
        if since is None or since.epoch != epoch or since.offset >= newest:
            return Known(History(head, (), dropped_by), is_stale)
        if limits.history_events and since.offset < newest - limits.history_events:
            return Known(History(head, (), "trimmed"), is_stale)
        rows = connection.execute(
            "SELECT position, stored_at, exclude_user, exclude_session, body FROM events"
            " WHERE topic_id = ? AND position > ? ORDER BY position LIMIT ?",
            (topic_id, since.offset, limit or -1),
        ).fetchall()
    finally:
        roll_back(connection)
    if rows and is_event_too_old(rows[0][1], now, limits):
        return Known(History(head, (), "expired"), is_stale)
    publications = tuple(
        Publication(key.key, Cursor(epoch, position), body, _exclude(user, session))
        for position, _, user, session, body in rows
    )
    return Known(History(head, publications, dropped_by), is_stale)


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """A question, asked in the thread with its connection."""

    question: Callable[[sqlite3.Connection], Known | None]
    answer: asyncio.Future[Known | None]


class Reader(Worker):
    """Answers questions in the order of their coming."""

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("reader", database, loop)
        self._waiting: SimpleQueue[Read | None] = SimpleQueue()

    def ask(self, request: Read) -> None:
        """Queue it. Called on the event loop."""
        self._waiting.put(request)

    def halt(self) -> None:
        """End after what waits already."""
        self._waiting.put(None)

    def work(self) -> None:
        """Question after question, until the mark of the end."""
        while (request := self._waiting.get()) is not None:
            if request.answer.done():
                continue  # who asked has given up
            try:
                question = partial(request.question, self.handle.get())
                result: Any = wait_out_locks(question, self.stopping, sqlite_file.BUSY_SECONDS_MAX)
            except Exception as error:
                if not is_busy(error):
                    self.handle.drop()
                result = unavailable(error, "read the history")
            self.answer([(request.answer, result)])


class Tail(Worker):
    """Hands on every event of the file that this process wants, whoever wrote it, in the order of their commits.

    :param is_wanted: whether a key, or its wildcard, is joined; called in the thread.
    :param on_page: called on the event loop with what is new.
    :param on_restored: called on the event loop when reading works again after it did not.
    """

    def __init__(
        self,
        database: Database,
        loop: asyncio.AbstractEventLoop,
        wakes: Wakes,
        *,
        is_wanted: Callable[[StoredKey], bool],
        on_page: Callable[[list[Publication]], None],
        on_restored: Callable[[], None],
    ) -> None:
        super().__init__("tail", database, loop)
        self._wakes = wakes
        self._is_wanted = is_wanted
        self._on_page = on_page
        self._on_restored = on_restored
        self._sequence = 0
        self._data_version: int | None = None

    def halt(self) -> None:
        """End at once: what was not handed on yet is in the history."""
        self._wakes.ring_own()

    def opened(self, connection: sqlite3.Connection) -> None:
        """Teach it whom this process listens to; what another connection knew of changes means nothing here."""
        connection.create_function("tidings_wants", 2, lambda tenant, topic: self._is_wanted(StoredKey(tenant, topic)))
        self._data_version = None

    def prepare(self) -> None:
        """Stand at the end of what there is: older events are history."""
        self._sequence = self._last_sequence(self.handle.get())
        self._wakes.open()

    def work(self) -> None:
        """Look when somebody rings, and every ``POLL_SECONDS``."""
        is_failing = False
        while not self.stopping.is_set():
            self._wakes.wait(POLL_SECONDS)
            try:
                self._look()
            except Exception as error:
                if not is_busy(error):
                    self.handle.drop()
                if not is_failing:
                    log.error("new events cannot be read: %s", error)
                is_failing = True
                self.stopping.wait(POLL_SECONDS)  # who rings in a storm must not make us fail in a storm
            else:
                if is_failing:
                    self.post(self._on_restored)
                is_failing = False

    def clean_up(self) -> None:
        """Nobody can ring here any more."""
        self._wakes.close()

    def _look(self) -> None:
        connection = self.handle.get()
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version == self._data_version:
            return
        last = self._last_sequence(connection)
        while self._sequence < last and not self.stopping.is_set():
            page = self._read_page(connection, min(last, self._sequence + _PAGE_SEQUENCES))
            if page:
                self._hand_on(page)
        self._data_version = version

    def _last_sequence(self, connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
        return 0 if row is None else int(row[0])

    def _read_page(self, connection: sqlite3.Connection, last: int) -> list[Publication]:
        """What is wanted up to a sequence, or up to the page's size in bytes."""
        page: list[Publication] = []
        size_bytes = 0
        rows = connection.execute(
            "SELECT sequence, tenant, topic, epoch, position, exclude_user, exclude_session, body"
            " FROM events CROSS JOIN topics ON topics.id = topic_id"  # CROSS: in this order, the newest alone
            " WHERE sequence > ? AND sequence <= ? AND tidings_wants(tenant, topic) ORDER BY sequence",
            (self._sequence, last),
        )
        for sequence, tenant, topic, epoch, position, user, session, body in rows:
            key = StoredKey(tenant, topic).key
            page.append(Publication(key, Cursor(epoch, position), body, _exclude(user, session)))
            size_bytes += len(body)
            if size_bytes >= _PAGE_BYTES:
                last = sequence
                break
        rows.close()
        self._sequence = last
        return page

    def _hand_on(self, page: list[Publication]) -> None:
        """Give it to the event loop, and wait until it was taken: what it cannot take yet stays in the file."""
        taken = threading.Event()
        self.post(self._give, page, taken)
        while not taken.wait(POLL_SECONDS) and not self.stopping.is_set():
            pass

    def _give(self, page: list[Publication], taken: threading.Event) -> None:
        try:
            self._on_page(page)
        finally:
            taken.set()


def _exclude(user: bytes | None, session: bytes | None) -> Exclude | None:
    if user is None and session is None:
        return None
    return Exclude(user=None if user is None else to_text(user), session=None if session is None else to_text(session))
