"""The file in which the processes of a machine tell each other who is present: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
import threading

from tidings.brokers import sqlite_file
from tidings.brokers.sqlite_file import Database, connect, roll_back, wait_out_locks

VERSION = 1

_SCHEMA = """
CREATE TABLE nodes (node TEXT PRIMARY KEY, ends_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE members (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,  -- another one with each change
    tenant BLOB NOT NULL,
    topic BLOB NOT NULL,
    session BLOB NOT NULL,
    node TEXT NOT NULL,
    user BLOB NOT NULL,
    state BLOB NOT NULL,
    gone_at REAL,                                -- seconds of the wall clock since 1970, for one who has left
    UNIQUE (tenant, topic, session)
);
CREATE INDEX members_by_node ON members (node);
CREATE INDEX members_gone ON members (gone_at) WHERE gone_at IS NOT NULL;
"""


class PresenceFile(Database):
    """The file. What is in it is worth nothing after a restart of the machine, so nothing waits for the disk."""

    def open(self, stopping: threading.Event) -> sqlite3.Connection:
        """A connection to the tables, made anew where they are of another version. Raises sqlite3.Error."""
        is_new = not self.path.exists()
        connection = connect(self.path)
        try:
            if is_new:
                connection.execute("PRAGMA schema_version").fetchone()  # makes the file
                self.path.chmod(0o600)
            wait_out_locks(lambda: _prepare(connection), stopping, sqlite_file.BUSY_SECONDS_MAX)
            self._identity = self._current_identity()
        except BaseException:
            connection.close()
            raise
        return connection

    def check_identity(self) -> None:
        """Raise sqlite3.OperationalError where the file was removed: another is opened then."""
        if self._current_identity() != self._identity:
            raise sqlite3.OperationalError("the file was removed")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            for table in ("nodes", "members"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        roll_back(connection)
