"""The thread that keeps one node's members in the file, and reads those of the others.

Every row has a number that grows with each change, and who has left stays as a row that says so for a while: so news
are the rows above the last number. A node renews its lease; when that has ended, whoever sees it first marks the
node's members as gone.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import msgspec

from tidings.brokers import sqlite_file
from tidings.brokers.sqlite_file import is_busy, roll_back, wait_out_locks
from tidings.brokers.sqlite_ledger import StoredKey, to_bytes, to_text
from tidings.brokers.sqlite_presence_file import PresenceFile
from tidings.brokers.sqlite_wakes import Wakes
from tidings.brokers.sqlite_worker import Worker
from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.ports import Clock

log = logging.getLogger("tidings.presence")

POLL_SECONDS = 0.25  # a wake may be lost
RENEW_SECONDS = 10.0
LEASE_SECONDS = 25.0  # two renewals may be late
SWEEP_SECONDS = 2.0
PARTING_SECONDS = 3.0  # after the close of a node: its clients move over meanwhile
TOMBSTONE_SECONDS = 120.0  # who was away for longer than a lease reads all anew, so this is more than enough

_PUT = "INSERT OR REPLACE INTO members (tenant, topic, session, node, user, state, gone_at)"
_LIVING = "SELECT session, user, state FROM members WHERE tenant = ? AND topic = ? AND gone_at IS NULL AND node != ?"
_LIVING += " AND node IN (SELECT node FROM nodes WHERE ends_at >= ?)"

# A change of one key: who has come, the session of who has left, or all who are there.
News = tuple[TopicKey, "Member | str | list[Member]"]


@dataclass(frozen=True, slots=True)
class Enter:
    """A member of this node has come, or has changed its state."""

    key: TopicKey
    member: Member


@dataclass(frozen=True, slots=True)
class Exit:
    """It has left."""

    key: TopicKey
    session: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Tell who is there, and what changes."""

    key: TopicKey


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Stop that."""

    key: TopicKey


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Tell once who is there, on all nodes."""

    key: TopicKey
    answer: asyncio.Future[Sequence[Member]]


Command = Enter | Exit | Watch | Unwatch | Query


class PresenceWorker(Worker):
    """Takes commands from the event loop, in order, and tells it what the others did.

    :param on_news: called on the event loop with what has changed among the members of other nodes.
    """

    def __init__(
        self,
        database: PresenceFile,
        loop: asyncio.AbstractEventLoop,
        wakes: Wakes,
        *,
        clock: Clock,
        on_news: Callable[[list[News]], None],
    ) -> None:
        super().__init__("presence", database, loop)
        self._node = secrets.token_hex(8)
        self._wakes = wakes
        self._clock = clock
        self._on_news = on_news
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._queries: list[Query] = []
        self._own: dict[tuple[StoredKey, str], Member] = {}
        self._unsaved: dict[tuple[StoredKey, str], None] = {}
        self._watched: dict[StoredKey, bool] = {}  # whether all who are there must be told
        self._sequence = 0
        self._data_version: int | None = None
        self._renew_at = self._sweep_at = float("-inf")

    def ask(self, command: Command) -> None:
        """Queue it. Called on the event loop."""
        self._commands.put(command)
        self._wakes.ring_own()

    def halt(self) -> None:
        """End soon."""
        self._wakes.ring_own()

    def opened(self, connection: sqlite3.Connection) -> None:
        """What this connection has seen is nothing: all is read and written anew."""
        self._data_version = None
        self._all_anew()

    def prepare(self) -> None:
        """Be reachable by the others."""
        self._wakes.open()

    def work(self) -> None:
        """Turn after turn: when somebody rings, and every POLL_SECONDS."""
        is_failing = False
        while not self.stopping.is_set():
            self._wakes.wait(POLL_SECONDS)
            self._take_commands()
            try:
                self._turn()
            except Exception as error:
                if not is_busy(error):
                    self.handle.drop()
                if not is_failing:
                    known = isinstance(error, sqlite3.Error | OSError)
                    log.error("who is present cannot be kept for now: %s", error, exc_info=None if known else error)
                is_failing = True
                self.stopping.wait(POLL_SECONDS)
            else:
                is_failing = False
        self._part()

    def clean_up(self) -> None:
        """Nobody can ring here any more."""
        self._wakes.close()

    def _take_commands(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            key = StoredKey.of(command.key)
            match command:
                case Enter(_, member):
                    self._own[key, member.session] = member
                    self._unsaved[key, member.session] = None
                case Exit(_, session):
                    self._own.pop((key, session), None)
                    self._unsaved[key, session] = None
                case Watch():
                    self._watched[key] = True
                case Unwatch():
                    self._watched.pop(key, None)
                case Query():
                    self._queries.append(command)

    def _all_anew(self) -> None:
        self._unsaved.update(dict.fromkeys(self._own))
        self._watched = dict.fromkeys(self._watched, True)
        self._renew_at = float("-inf")

    def _turn(self) -> None:
        connection = self.handle.get()
        now = self._clock.now().timestamp()
        if self._unsaved or now >= self._renew_at or now >= self._sweep_at:
            wait_out_locks(lambda: connection.execute("BEGIN IMMEDIATE"), self.stopping, sqlite_file.BUSY_SECONDS_MAX)
            try:
                changed = self._write(connection, now)
                connection.execute("COMMIT")
            finally:
                roll_back(connection)
            self._unsaved.clear()
            if changed:
                self._data_version = None  # it does not tell of our own writes, among them of whom we found dead
                self._wakes.ring()
        wait_out_locks(lambda: self._read(connection, now), self.stopping, sqlite_file.BUSY_SECONDS_MAX)

    # Writing.

    def _write(self, connection: sqlite3.Connection, now: float) -> bool:
        """Whether the others have something to read."""
        renewed = connection.execute("UPDATE nodes SET ends_at = ? WHERE node = ?", (now + LEASE_SECONDS, self._node))
        if renewed.rowcount == 0:  # the first time, or they took us for dead
            connection.execute("INSERT INTO nodes (node, ends_at) VALUES (?, ?)", (self._node, now + LEASE_SECONDS))
            self._all_anew()
        self._renew_at = now + RENEW_SECONDS
        swept = self._sweep(connection, now) if now >= self._sweep_at else 0
        for (key, session), member in ((place, self._own.get(place)) for place in self._unsaved):
            place = (*key, to_bytes(session))
            if member is None:
                gone = "SELECT tenant, topic, session, node, user, state, ? FROM members"
                connection.execute(
                    f"{_PUT} {gone} WHERE tenant = ? AND topic = ? AND session = ? AND node = ? AND gone_at IS NULL",
                    (now, *place, self._node),
                )
            else:
                row = (*place, self._node, to_bytes(member.user), bytes(member.state))
                connection.execute(f"{_PUT} VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
        return bool(swept or self._unsaved)

    def _sweep(self, connection: sqlite3.Connection, now: float) -> int:
        """Let go of the dead: how many members they had."""
        self._sweep_at = now + SWEEP_SECONDS
        connection.execute("DELETE FROM nodes WHERE ends_at < ?", (now,))
        gone = "SELECT tenant, topic, session, node, user, state, ? FROM members"
        swept = connection.execute(
            f"{_PUT} {gone} WHERE gone_at IS NULL AND node NOT IN (SELECT node FROM nodes)", (now,)
        )
        connection.execute("DELETE FROM members WHERE gone_at < ?", (now - TOMBSTONE_SECONDS,))
        return swept.rowcount

    def _part(self) -> None:
        """The end: the lease is cut short, so that clients which move to another process are never away."""
        try:
            self._take_commands()
            connection = self.handle.get()
            now = self._clock.now().timestamp()
            ends_at = now + PARTING_SECONDS if self._own else now - 1
            wait_out_locks(lambda: connection.execute("BEGIN IMMEDIATE"), threading.Event(), 1.0)
            try:
                self._write(connection, now)
                connection.execute("UPDATE nodes SET ends_at = ? WHERE node = ?", (ends_at, self._node))
                connection.execute("COMMIT")
            finally:
                roll_back(connection)
            self._wakes.ring()
        except Exception as error:
            log.debug("the lease could not be cut short: %s", error)  # it ends by itself

    # Reading.

    def _read(self, connection: sqlite3.Connection, now: float) -> None:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        asked = [key for key, is_new in self._watched.items() if is_new]
        if version == self._data_version and not asked and not self._queries:
            return
        news: list[News] = []
        connection.execute("BEGIN")
        try:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'members'").fetchone()
            last = 0 if row is None else int(row[0])
            if last < self._sequence:
                asked = list(self._watched)  # another file
            else:
                news += self._changes(connection)
            news += [(key.key, self._living(connection, key, now)) for key in asked]
            answers = [(query.answer, self._everybody(connection, query, now)) for query in self._queries]
        finally:
            roll_back(connection)
        self._queries.clear()
        self._sequence = last
        self._data_version = version
        self._watched.update(dict.fromkeys(asked, False))
        if news:
            self.post(self._on_news, news)
        if answers:
            self.answer(answers)

    def _changes(self, connection: sqlite3.Connection) -> list[News]:
        rows = connection.execute(
            "SELECT tenant, topic, session, user, state, gone_at FROM members WHERE sequence > ? AND node != ?"
            " ORDER BY sequence",
            (self._sequence, self._node),
        )
        news: list[News] = []
        for tenant, topic, session, user, state, gone_at in rows:
            key = StoredKey(tenant, topic)
            if key in self._watched:
                member = _member(session, user, state)
                news.append((key.key, member if gone_at is None else member.session))
        return news

    def _living(self, connection: sqlite3.Connection, key: StoredKey, now: float) -> list[Member]:
        return [_member(*row) for row in connection.execute(_LIVING, (*key, self._node, now))]

    def _everybody(self, connection: sqlite3.Connection, query: Query, now: float) -> list[Member]:
        key = StoredKey.of(query.key)
        own = [member for (where, _), member in self._own.items() if where == key]
        return [*own, *self._living(connection, key, now)]


def _member(session: bytes, user: bytes, state: bytes) -> Member:
    return Member(session=to_text(session), user=to_text(user), state=msgspec.Raw(state))
