"""Whether what waits for a peer goes out at all: the bound in time, beside the one in bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BACKLOG_SECONDS = 20.0  # what has waited so long for the peer to take it will not be wanted any more
LOOKS = 4  # in that time: so a stopped reader is found a quarter of it late at most


class WaitingAge:
    """Counts what is put and what is sent, and looks from time to time, while anything waits.

    There is no timer on an idle connection, and none is set for a single frame.

    :param on_old: called once, when something has waited for BACKLOG_SECONDS.
    """

    __slots__ = ("_loop", "_mark", "_marked_at", "_on_old", "_put", "_sent", "_timer")

    def __init__(self, on_old: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_old = on_old
        self._put = 0
        self._sent = 0
        self._mark = 0  # how many had been put when all of it was last found to go out
        self._marked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, count: int = 1) -> None:
        """So many more wait."""
        self._put += count
        if self._timer is None:
            self._mark, self._marked_at = self._put, self._loop.time()
            self._look_later()

    def sent(self, count: int = 1) -> None:
        """So many are out of our hands, or were dropped."""
        self._sent += count

    def stop(self) -> None:
        """Nothing is watched any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(BACKLOG_SECONDS / LOOKS, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._sent >= self._put:
            return
        now = self._loop.time()
        if self._sent >= self._mark:
            self._mark, self._marked_at = self._put, now
        elif now - self._marked_at >= BACKLOG_SECONDS:
            self._on_old()
            return
        self._look_later()
