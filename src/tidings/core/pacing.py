"""Token buckets: how often, with time handed in."""

from __future__ import annotations


class TokenBucket:
    """Allows ``rate`` a second on average and ``burst`` at once. A rate of 0 allows everything."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take one token; False where there is none."""
        if not self._rate:
            return True
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
