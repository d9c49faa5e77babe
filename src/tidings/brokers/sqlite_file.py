"""The database file: how it is opened, what tables it holds, and which faults are the operator's.

Every thread of the broker opens the file for itself. A file that holds something else is refused before
anything in it is changed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from tidings.core.errors import BrokerUnavailable
from tidings.settings import ConfigurationError, describe

_T = TypeVar("_T")

SCHEMA_VERSION = 2
APPLICATION_ID = int.from_bytes(b"Tidg")  # says whose file it is, to us and to the command `file`
BUSY_SLICE_SECONDS = 0.01  # SQLite polls a lock ever more rarely, so we ask anew: short waits, and none starves
BUSY_SECONDS_MAX = 5.0  # how long a foreign lock is waited for
_JOURNAL_BYTES_MAX = 64 * 1024 * 1024  # what the log keeps of the disk after a storm

# Tenants, topics and keys are BLOBs: bytes are compared exactly, NUL and unpaired surrogates included.
# stored_at and used_at are milliseconds of the wall clock since 1970, for they must mean the same after a restart.
_SCHEMA = """
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    tenant BLOB NOT NULL,       -- empty: no tenant; else ':' and its UTF-8 bytes
    topic BLOB NOT NULL,
    epoch TEXT NOT NULL,
    newest INTEGER NOT NULL,    -- the offset of the newest event, 0 before the first
    dropped_by TEXT NOT NULL,   -- what removed the oldest events last: 'trimmed' or 'expired'
    used_at INTEGER NOT NULL,   -- roughly: it is moved only when it has become old
    UNIQUE (tenant, topic)
);
CREATE INDEX topics_by_use ON topics (used_at);
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- of the whole file, never given twice: what nodes read after
    topic_id INTEGER NOT NULL,
    position INTEGER NOT NULL,                   -- the event's offset in its topic
    stored_at INTEGER NOT NULL,
    exclude_user BLOB,
    exclude_session BLOB,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX events_by_position ON events (topic_id, position);
CREATE TABLE idempotency (
    topic_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    position INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    PRIMARY KEY (topic_id, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (stored_at);
"""

# What each version added, so that a file of an older one is brought up.
_ADDED = {
    2: """
CREATE TABLE numbers (  -- the last number of each outbox on each topic
    topic_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    number INTEGER NOT NULL,
    token TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (topic_id, source)
) WITHOUT ROWID;
""",
}


def path_from_url(url: str) -> Path:
    """The file that ``sqlite:///path`` names. Raises ConfigurationError for any other form."""
    path = url.removeprefix("sqlite:///")
    if path == url or path in ("", ":memory:") or "?" in path or "\0" in path or path.endswith("/"):
        raise ConfigurationError(
            f"{describe('broker')}: {url[:80]!r} names no file; "
            "write sqlite:///events.db, or sqlite:////var/lib/app/events.db for an absolute path"
        )
    return Path(path)


def connect(path: Path) -> sqlite3.Connection:
    """A connection as the thread that calls wants it: transactions by hand, locks waited for in short slices."""
    return sqlite3.connect(path, timeout=BUSY_SLICE_SECONDS, isolation_level=None)


def is_busy(error: BaseException) -> bool:
    """Whether somebody else holds a lock: nothing is wrong, and it can be tried again."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def wait_out_locks(work: Callable[[], _T], stopping: threading.Event, seconds_max: float) -> _T:
    """Do it again while the file is locked. Raises sqlite3.OperationalError when it stays so, or at a stop."""
    until = time.monotonic() + seconds_max
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or stopping.is_set() or time.monotonic() >= until:
                raise


class Database:
    """One file, as long as one broker runs on it.

    :param path: made when it is not there, readable by its owner alone; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise ConfigurationError, one line, for what cannot work; changes nothing and waits for no lock."""
        folder = self.path.parent
        if not folder.is_dir():
            raise self._wrong(f"there is no folder {folder}; make it first")
        if self.path.is_dir():
            raise self._wrong(f"{self.path} is a folder, not a file")
        # SQLite keeps its log beside the file, so the folder must be writable too.
        for what in (folder, self.path) if self.path.exists() else (folder,):
            if not os.access(what, os.W_OK):
                raise self._wrong(f"{what} may not be written by this user")
        if self.path.exists():
            # Locked now: whoever starts will wait, and look again.
            with suppress(sqlite3.OperationalError), closing(connect(self.path)) as connection:
                self._version(connection)

    def open(self, stopping: threading.Event) -> sqlite3.Connection:
        """A connection to the tables, which are made where there are none.

        Raises ConfigurationError for a file that is not ours, BrokerUnavailable for one that was replaced
        since the first ``open``, sqlite3.Error for what may pass.
        """
        self.check_identity()
        is_new = not self.path.exists()
        connection = connect(self.path)
        try:
            if is_new:
                connection.execute("PRAGMA schema_version").fetchone()  # makes the file
                self.path.chmod(0o600)  # the events are people's data; SQLite gives its log the same mode
            wait_out_locks(lambda: self._prepare(connection), stopping, BUSY_SECONDS_MAX)
            self._identity = self._identity or self._current_identity()
        except BaseException:
            connection.close()
            raise
        return connection

    def check_identity(self) -> None:
        """Raise BrokerUnavailable where the path names another file than at the start, or none.

        What is written to a file without a name is gone at the end, and another server would not see it.
        """
        if self._identity is not None and self._current_identity() != self._identity:
            raise BrokerUnavailable(f"The SQLite file {self.path} was removed or replaced; restart the server.")

    def _current_identity(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _prepare(self, connection: sqlite3.Connection) -> None:
        version = self._version(connection)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise self._wrong(f"{self.path} is on a file system without shared memory; take one on a local disk")
        connection.execute("PRAGMA synchronous = FULL")  # on the disk before it is answered
        connection.execute("PRAGMA fullfsync = ON")  # macOS: else the disk's own cache may lose it
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES_MAX}")
        if version == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = self._version(connection)  # another process may have been first
            missing = [] if version else [_SCHEMA]
            missing += [added for since, added in _ADDED.items() if since > max(version, 1)]
            for statement in "".join(missing).split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        finally:
            roll_back(connection)

    def _version(self, connection: sqlite3.Connection) -> int:
        """Of our tables, 0 where there are none; raises ConfigurationError where something else is."""
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise self._wrong(f"{self.path} cannot be used: {error}") from None
        if (application, version, tables) == (0, 0, 0):
            return 0
        if application != APPLICATION_ID:
            raise self._wrong(f"{self.path} holds another application's data; give Tidings a file of its own")
        if not 1 <= version <= SCHEMA_VERSION:
            raise self._wrong(
                f"{self.path} has schema version {version}, and this Tidings knows {SCHEMA_VERSION}; "
                "update Tidings, or name another file"
            )
        return int(version)

    def _wrong(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{describe('broker')}: {why}")


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that is still open. SQLite has ended it by itself after some faults."""
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class Handle:
    """One thread's connection: opened when it is asked for, and anew after a fault."""

    def __init__(
        self, database: Database, stopping: threading.Event, on_opened: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._database = database
        self._stopping = stopping
        self._on_opened = on_opened
        self._connection: sqlite3.Connection | None = None

    def get(self) -> sqlite3.Connection:
        """The connection. Raises what ``Database.open`` raises."""
        if self._connection is None:
            self._connection = self._database.open(self._stopping)
            self._on_opened(self._connection)
        else:
            self._database.check_identity()
        return self._connection

    def drop(self) -> None:
        """Let go of it; the next ``get`` opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
