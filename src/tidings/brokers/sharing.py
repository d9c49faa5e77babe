"""One read for all who ask the same at the same time: after a restart, thousands recover from one position (F42)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_Q = TypeVar("_Q", bound=Hashable)
_A = TypeVar("_A")


class SharedReads(Generic[_Q, _A]):
    """Questions that are asked while the same one is being answered are answered together, by the next read.

    Never by the one that runs: it may have looked before they were asked, and who asks relies on what was true then.

    :param read: answers a question.
    """

    def __init__(self, read: Callable[[_Q], Awaitable[_A]]) -> None:
        self._read = read
        self._running: set[_Q] = set()
        self._waiting: dict[_Q, asyncio.Future[_A]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: _Q) -> _A:
        """The answer, looked up after this call. Raises what the read raises."""
        if question not in self._running:
            self._running.add(question)
            try:
                return await self._read(question)
            finally:
                self._ended(question)
        waiting = self._waiting.get(question)
        if waiting is None:
            waiting = self._waiting[question] = asyncio.get_running_loop().create_future()
        # One who gives up must not take the others' answer along.
        return await asyncio.shield(waiting)

    def _ended(self, question: _Q) -> None:
        waiting = self._waiting.pop(question, None)
        if waiting is None:
            self._running.discard(question)
            return
        task = asyncio.get_running_loop().create_task(self._answer(question, waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, question: _Q, waiting: asyncio.Future[_A]) -> None:
        try:
            waiting.set_result(await self._read(question))
        except Exception as error:
            waiting.set_exception(error)
            waiting.exception()  # all who asked may have given up
        except BaseException:
            waiting.cancel()
            raise
        finally:
            self._ended(question)
