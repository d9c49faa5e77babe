"""An event loop whose clock jumps: a sleep of an hour takes no time, and nothing ever waits for luck."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

_T = TypeVar("_T")
_START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


class _JumpingSelector(selectors.SelectSelector):
    """Where the loop would sleep until its next timer, time jumps there. Only for loops without real I/O."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: this would never end")
        self.elapsed_seconds += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and moves only when everything waits."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.elapsed_seconds


class LoopClock:
    """The clock of the running loop (``tidings.ports.Clock``): virtual on a VirtualLoop."""

    def monotonic(self) -> float:
        """The loop's time in seconds."""
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """A fixed start, plus the loop's time."""
        return _START + timedelta(seconds=self.monotonic())


def run_virtual(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end on a loop whose clock jumps."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
