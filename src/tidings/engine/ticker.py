"""One timer for all deadlines: an idle connection owns no task and no timer."""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

from tidings.ports import Clock

GRANULARITY_SECONDS = 1.0


class Ticking(Protocol):
    """What has a deadline."""

    def tick(self) -> float | None:
        """The deadline has passed: act, and give the next one; None for no more."""
        ...


class Ticker:
    """Buckets of one second. Setting, moving and dropping a deadline are O(1); a tick costs what is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[int, dict[Ticking, None]] = {}
        self._bucket_of: dict[Ticking, int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, item: Ticking, deadline: float) -> None:
        """Call ``item.tick()`` within a second after the deadline; an earlier setting is forgotten."""
        bucket = math.ceil(deadline / GRANULARITY_SECONDS)
        if self._bucket_of.get(item) == bucket:
            return
        self.drop(item)
        self._bucket_of[item] = bucket
        self._buckets.setdefault(bucket, {})[item] = None
        if self._timer is None:
            self._arm()

    def drop(self, item: Ticking) -> None:
        """Forget the item's deadline, if it has one."""
        bucket = self._bucket_of.pop(item, None)
        if bucket is not None:
            items = self._buckets[bucket]
            del items[item]
            if not items:
                del self._buckets[bucket]

    def run_due(self) -> None:
        """Tick whatever is due now. The timer calls this; so does a test that has moved its clock."""
        now = math.floor(self._clock.monotonic() / GRANULARITY_SECONDS)
        for bucket in sorted(number for number in self._buckets if number <= now):
            for item in list(self._buckets.get(bucket, ())):
                self.drop(item)
                deadline = item.tick()
                if deadline is not None:
                    self.set(item, deadline)

    def close(self) -> None:
        """Forget all deadlines."""
        self._buckets.clear()
        self._bucket_of.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(GRANULARITY_SECONDS, self._fire)

    def _fire(self) -> None:
        self._timer = None
        try:
            self.run_due()
        finally:
            if self._buckets and self._timer is None:
                self._arm()
