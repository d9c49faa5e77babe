"""The machine's own time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The clock of a running server; tests hand in a ``FakeClock``."""

    def monotonic(self) -> float:
        """Seconds that only grow: for deadlines."""
        return time.monotonic()

    def now(self) -> datetime:
        """The wall clock in UTC: for timestamps and expiry."""
        return datetime.now(UTC)
