"""Where no transport works: who holds data is told to fetch it anew, at once and then at intervals (R16)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

INTERVAL_SECONDS = 10.0


class Refetching:
    """Ticks while it is needed.

    :param tell: is called at once, and then every INTERVAL_SECONDS.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._handle: asyncio.TimerHandle | None = None

    def need(self, needed: bool) -> None:
        """Begin, go on, or stop the moment that events flow again."""
        if not needed:
            self.stop()
        elif self._handle is None:
            self._tick()

    def stop(self) -> None:
        """Tick no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _tick(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._tick)
        self._tell()
