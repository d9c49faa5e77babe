"""Whether a measurement was alone on the machine: what the processors did, less what was ours."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from types import TracebackType
from typing import Self

QUIET_SHARE = 0.05  # of a core: what else ran; above it a measurement is repeated
_LOOK_SECONDS = 1.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Watch:
    """Looks at the processors' time before and after; the processes of the measurement must have ended by then.

    :ivar foreign_share: cores that other work, or the host, took meanwhile; 0.5 is half of one.
    """

    def __init__(self) -> None:
        self.foreign_share = 0.0

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._all, self._ours = _all_seconds(), _our_seconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        foreign_seconds = (_all_seconds() - self._all) - (_our_seconds() - self._ours)
        self.foreign_share = max(foreign_seconds, 0.0) / (time.monotonic() - self._begun)


def wait(seconds_max: float) -> None:
    """Return when nothing else runs, or after so long."""
    end = time.monotonic() + seconds_max
    while time.monotonic() < end:
        with Watch() as watch:
            time.sleep(_LOOK_SECONDS)
        if watch.foreign_share <= QUIET_SHARE:
            return


def _all_seconds() -> float:
    """User and system time of everybody, and what the host took away; interrupts are left out, for they are ours."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _iowait, _irq, _softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + steal) / _TICKS_PER_SECOND


def _our_seconds() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
