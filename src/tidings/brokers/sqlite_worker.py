"""A thread with a connection of its own, so that the event loop never waits for the disk."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tidings.brokers.sqlite_file import Database, Handle, is_busy
from tidings.core.errors import BrokerUnavailable, UsageError

log = logging.getLogger("tidings.sqlite")

Answer = tuple["asyncio.Future[Any]", Any]  # what waits, and its result or the exception to raise there


class Worker:
    """Begins with ``start``, ends with ``stop``; in between ``work`` runs in the thread.

    :param name: of the thread.
    :param loop: where answers go.
    """

    def __init__(self, name: str, database: Database, loop: asyncio.AbstractEventLoop) -> None:
        self.stopping = threading.Event()
        self.handle = Handle(database, self.stopping, self.opened)
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name=f"tidings-sqlite-{name}", daemon=True)
        self._ready: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()

    async def start(self) -> None:
        """Return when the file is open. Raises ConfigurationError or BrokerUnavailable; the thread has ended then."""
        self._thread.start()
        try:
            await asyncio.shield(self._ready)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Return when the thread has ended, after what it was asked before."""
        self.stopping.set()
        if self._thread.ident is None:
            return  # never started
        self.halt()
        await asyncio.shield(self._ended)
        self._thread.join()  # it has said that it ends: no wait

    def halt(self) -> None:
        """Let ``work`` see that it is to return. Called on the event loop."""
        raise NotImplementedError

    def opened(self, connection: sqlite3.Connection) -> None:
        """A connection was made, the first or another after a fault."""

    def prepare(self) -> None:
        """What is to be done in the thread before ``start`` returns."""

    def work(self) -> None:
        """The thread's life. Raises nothing."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """What is to be let go of in the thread at its end."""

    def answer(self, answers: Iterable[Answer]) -> None:
        """Hand results to those who wait, all in one turn of the loop. Called in the thread."""
        self.post(_settle, list(answers))

    def post(self, call: Any, *arguments: Any) -> None:
        """Call it on the event loop. Nothing where the loop has ended without us."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _run(self) -> None:
        try:
            try:
                self.handle.get()
                self.prepare()
            except Exception as error:
                self.answer([(self._ready, unavailable(error, "open the file"))])
                return
            self.answer([(self._ready, None)])
            self.work()
        finally:
            self.clean_up()
            self.handle.drop()
            self.answer([(self._ended, None)])


def _settle(answers: list[Answer]) -> None:
    for future, result in answers:
        if future.done():
            continue  # who waited has gone
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def unavailable(error: Exception, what: str, advice: str = "") -> Exception:
    """The error for one who waits; a new one for each, for a traceback grows where it is raised."""
    if isinstance(error, BrokerUnavailable):
        return BrokerUnavailable(str(error))
    if isinstance(error, UsageError):
        return error
    if isinstance(error, sqlite3.Error | OSError):
        why = "another process holds its lock" if is_busy(error) else str(error)
    else:
        log.error("a bug in the SQLite broker", exc_info=error)
        why = type(error).__name__
    refusal = BrokerUnavailable(f"The SQLite broker could not {what} ({why}){advice}.")
    refusal.__cause__ = error
    return refusal
