"""What is due on one connection: credentials, life signs of both sides, a token's end. Time is handed in.

Nothing is written down per frame that goes out: the sink counts them, and the count is looked at twice in
each heartbeat. So the server is never silent for longer than a heartbeat, and an active connection gets no
pong that it does not need.
"""

from __future__ import annotations

from enum import Enum

from tidings.core.limits import Limits


class Due(Enum):
    """What has come due."""

    SILENT = "silent"  # nothing came from the client for too long (R8)
    EXPIRED = "expired"  # the token's grace is over
    EXPIRING = "expiring"  # the token has ended, its grace has begun
    SPEAK = "speak"  # nothing went out for a heartbeat
    PING = "ping"  # the protocol's own sign of life is due


class Deadlines:
    """The clockwork of an authenticated connection; before that only ``auth_at`` counts."""

    __slots__ = (
        "_expires_at", "_expiring_told", "_heard_at", "_limits", "_looked_at", "_pinged_at", "_pushed_count",
        "_spoke_at", "auth_at",
    )  # fmt: skip

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self.auth_at = now + limits.auth_seconds
        self._heard_at = self._spoke_at = self._looked_at = self._pinged_at = now
        self._pushed_count = 0
        self._expires_at: float | None = None
        self._expiring_told = False

    def heard(self, now: float) -> None:
        """Something came."""
        self._heard_at = now

    def authenticated(self, now: float, expires_in: float | None) -> None:
        """A token was taken, at first or anew."""
        self._expires_at = None if expires_in is None else now + expires_in
        self._expiring_told = False

    def next(self) -> float:
        """When to look again."""
        deadline = self._looked_at + self._limits.heartbeat_seconds / 2
        silent_at = self._heard_at + self._limits.silence_seconds
        if self._looked_at < silent_at:  # else it has been looked at, on a transport where silence is not judged here
            deadline = min(deadline, silent_at)
        if self._expires_at is not None:
            grace = self._limits.expiry_grace_seconds if self._expiring_told else 0
            deadline = min(deadline, self._expires_at + grace)
        return deadline

    def look(self, now: float, pushed_count: int, *, sees_pongs: bool) -> list[Due]:
        """What is due now, each told once; ``sent`` must be called for what is sent because of it."""
        limits = self._limits
        if sees_pongs and limits.silence_seconds and now - self._heard_at >= limits.silence_seconds:
            return [Due.SILENT]
        due: list[Due] = []
        if self._expires_at is not None and now >= self._expires_at:
            if now >= self._expires_at + limits.expiry_grace_seconds:
                return [Due.EXPIRED]
            if not self._expiring_told:
                self._expiring_told = True
                due.append(Due.EXPIRING)
        if pushed_count != self._pushed_count:  # at some time since the last look: at worst right after it
            self._spoke_at = max(self._spoke_at, self._looked_at)
        if now - self._spoke_at >= limits.heartbeat_seconds:
            self._spoke_at = now
            due.append(Due.SPEAK)
        if now - self._pinged_at >= limits.heartbeat_seconds:
            self._pinged_at = now
            due.append(Due.PING)
        self._looked_at = now
        self._pushed_count = pushed_count
        return due

    def sent(self, count: int) -> None:
        """So many frames go out because of the last look: they are no news at the next one."""
        self._pushed_count += count
