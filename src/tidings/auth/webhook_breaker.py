"""A circuit breaker: a back end that fails is left alone for a moment, and refused calls cost nothing.

Closed, every call goes through. After ``failures_max`` failures in a row it is open: calls are refused at once. When
the pause is over one call goes through on trial: it closes the breaker, or opens it for another pause.
"""

from __future__ import annotations

from enum import Enum


class BreakerState(Enum):
    """What becomes of a call."""

    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"  # one call is under way, and decides


class Breaker:
    """The breaker's state; time is handed in, in seconds of a clock that only grows.

    :param failures_max: so many in a row open it; 0 never does.
    :param pause_seconds: how long it stays open.
    """

    def __init__(self, failures_max: int, pause_seconds: float) -> None:
        self.state = BreakerState.CLOSED
        self._failures_max = failures_max
        self._pause_seconds = pause_seconds
        self._failures = 0
        self._open_until = 0.0

    def admits(self, now: float) -> bool:
        """Whether a call may be made; it must then be followed by ``succeeded``, ``failed`` or ``abandoned``."""
        if self.state is BreakerState.OPEN and now >= self._open_until:
            self.state = BreakerState.TRIAL
            return True
        return self.state is BreakerState.CLOSED

    def succeeded(self) -> bool:
        """A call was answered; whether that closed the breaker."""
        closes = self.state is not BreakerState.CLOSED
        self.state = BreakerState.CLOSED
        self._failures = 0
        return closes

    def failed(self, now: float) -> None:
        """A call was not answered."""
        if self.state is BreakerState.OPEN:
            return  # one that began before it opened: the pause is not prolonged by it
        self._failures += 1
        if self.state is BreakerState.TRIAL or 0 < self._failures_max <= self._failures:
            self.state = BreakerState.OPEN
            self._open_until = now + self._pause_seconds

    def abandoned(self, now: float) -> None:
        """A call was given up for a reason of our own: a trial that says nothing may be made again at once."""
        if self.state is BreakerState.TRIAL:
            self.state = BreakerState.OPEN
            self._open_until = now
