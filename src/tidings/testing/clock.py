"""Time that a test moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_START = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until it is told to move (``tidings.ports.Clock``)."""

    def __init__(self, start: datetime = _START) -> None:
        self._start = start
        self._elapsed_seconds = 0.0

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_seconds

    def now(self) -> datetime:
        """The start, plus every second that was advanced."""
        return self._start + timedelta(seconds=self._elapsed_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError for a step backwards: no clock that code may rely on does that."""
        if seconds < 0:
            raise ValueError(f"time only grows; {seconds} seconds is a step backwards")
        self._elapsed_seconds += seconds
