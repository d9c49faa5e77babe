"""The moment in which the process is asked to stop.

uvicorn waits for open responses, and only then runs the application's shutdown: a stream that does not know
keeps the process alive for ever (F39). ASGI has no word for it; the signal is the only news there is.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

log = logging.getLogger("tidings.stopping")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_Handler = Callable[[int, FrameType | None], object]


class StopSignals:
    """Listens beside the handlers that are there, and hands each signal on to them."""

    def __init__(self) -> None:
        self._ours: dict[signal.Signals, tuple[_Handler, _Handler]] = {}

    def watch(self, on_stop: Callable[[], None]) -> None:
        """Call ``on_stop`` on the running loop when the process is asked to stop. Doing it twice is doing it once.

        Only where a server handles the signal: without a handler the process ends at once, and nobody waits.
        Outside of the main thread signals cannot be had.
        """
        if self._ours or threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if callable(before):
                handler = _beside(before, loop, on_stop)
                signal.signal(number, handler)
                self._ours[number] = handler, before

    def release(self) -> None:
        """Put back what was there, unless somebody has taken the signal since."""
        for number, (handler, before) in self._ours.items():
            if threading.current_thread() is threading.main_thread() and signal.getsignal(number) is handler:
                signal.signal(number, before)
        self._ours.clear()


def _beside(before: _Handler, loop: asyncio.AbstractEventLoop, on_stop: Callable[[], None]) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(on_stop)
        before(number, frame)

    return handle
