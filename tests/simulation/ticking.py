"""The loop of a simulated world: its clock jumps, and a world whose time stands still is ended."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

TURNS_MAX = 50_000  # of the loop, in which no time passes: something goes round in a circle


class TimeStandsStill(AssertionError):
    """Something asks again and again, and never waits."""


class _Jumping(selectors.SelectSelector):
    """Where the loop would sleep until its next timer, time jumps there; there is nothing else to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.elapsed_seconds = 0.0
        self.turns = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits and no timer is set: this would never end")
        if timeout > 1e-9:
            self.turns = 0
            self.elapsed_seconds += timeout
        else:
            self.elapsed_seconds += max(timeout, 0.0)
            self.turns += 1
            if self.turns > TURNS_MAX:
                raise TimeStandsStill(f"time stands still at {self.elapsed_seconds:.3f} s")
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """``time()`` starts at 0 and moves only when everything waits."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jumping.elapsed_seconds


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)
