"""One direction of a connection, under conditions that may change at any moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from tests.faults.conditions import Conditions, End

WAITING_BYTES_MAX = 65_536  # then the sender is read no further, as a full window would do
SLICES_PER_SECOND = 20  # of a flow with a rate


class Ends(Protocol):
    """What stands at both ends of a flow."""

    def pass_on(self, data: bytes) -> None:
        """The bytes arrive."""

    def end(self, how: End) -> None:
        """The end arrives."""

    def hold_back(self, held: bool) -> None:
        """Whether the sender is to wait."""


class Flow:
    """Takes bytes and ends in their order, and lets them go when the conditions allow."""

    def __init__(self, name: Literal["up", "down"], ends: Ends, conditions: Callable[[], Conditions]) -> None:
        self._name: Literal["up", "down"] = name
        self._ends = ends
        self._conditions = conditions
        self._waiting: deque[tuple[float, bytes | End]] = deque()
        self.waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._next_slice = 0.0
        self._full = False
        self.dead = False  # lost something; nothing arrives any more
        self.open = True  # the receiver takes more

    def take(self, item: bytes | End) -> None:
        """From the sender."""
        conditions = self._conditions()
        if self.dead or conditions.drops(self._name):
            self.die()
            return
        loop = asyncio.get_running_loop()
        self._waiting.append((loop.time() + conditions.latency_seconds, item))
        self._count(len(item) if isinstance(item, bytes) else 0)
        self.pump()

    def die(self) -> None:
        """Lose what is under way and all that will come."""
        self.dead = True
        self._waiting.clear()
        self._count(-self.waiting_bytes)

    def set_open(self, is_open: bool) -> None:
        """Whether the receiver takes more."""
        self.open = is_open
        self.pump()

    def pump(self) -> None:
        """Let go what may go now; called again whenever something changes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and self.open:
            conditions, now = self._conditions(), asyncio.get_running_loop().time()
            if conditions.stalls(self._name):
                return
            if conditions.drops(self._name):
                self.die()
                return
            due, item = self._waiting[0]
            rate = conditions.bytes_per_second
            due = max(due, self._next_slice) if rate is not None else due
            if due > now:
                self._timer = asyncio.get_running_loop().call_at(due, self.pump)
                return
            self._waiting.popleft()
            if not isinstance(item, bytes):
                self._ends.end(item)
                continue
            if rate is not None:
                size = max(1, int(rate / SLICES_PER_SECOND))
                if len(item) > size:
                    self._waiting.appendleft((due, item[size:]))
                    item = item[:size]
                self._next_slice = now + len(item) / rate
            self._count(-len(item))
            self._ends.pass_on(item)

    def _count(self, more_bytes: int) -> None:
        self.waiting_bytes += more_bytes
        full = self.waiting_bytes >= WAITING_BYTES_MAX
        if full != self._full:
            self._full = full
            self._ends.hold_back(full)
