"""The values that go into the machine and come out of it, and every number that it follows.

Durations and times are milliseconds. ``spec/scenarios/README.md`` documents each input and effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Input = Mapping[str, Any]
Effect = dict[str, Any]
Frame = Mapping[str, Any]
TopicError = dict[str, str]

STATES = ("idle", "connecting", "live", "reconnecting", "paused", "blocked", "failed", "closed")
TIMERS = (
    "connect", "watchdog", "probe", "backoff", "stable", "linger", "idle", "reauth", "wake", "hidden", "publish",
    "retry", "move", "climb",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """See ``spec/scenarios/README.md``, options and their defaults."""

    transports: tuple[str, ...] = ("websocket",)
    remembered: str | None = None
    auth: bool = False
    attempts_limit: int | None = None
    development: bool = False
    hidden: bool = False
    prerendering: bool = False
    slow: bool = False
    pause_after_ms: float | None = None
    connect_ms: float = 10_000
    first_ms: float = 5_000
    climb_ms: float = 10_000
    climb_cap_ms: float = 600_000
    refetching_cap_ms: float = 10_000
    watchdog_slack_ms: float = 10_000
    probe_ms: float = 3_000
    backoff_base_ms: float = 1_000
    backoff_cap_ms: float = 30_000
    slow_down_ms: float = 5_000
    hidden_dial_ms: float = 60_000
    offline_ms: float = 30_000
    stable_ms: float = 10_000
    topic_linger_ms: float = 5_000
    connection_linger_ms: float = 30_000
    cursor_keep_ms: float = 300_000
    reauth_before_ms: float = 60_000
    reauth_jitter_ms: float = 10_000
    wake_ms: float = 250
    buffer_ms: float = 30_000
    buffer_events: int = 256
    publish_ms: float = 10_000


def number_of(value: object) -> float | None:
    """A number of the server's that is one, and not below zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return None
    return value


def object_of(value: object) -> Frame | None:
    """An object of the server's."""
    return value if isinstance(value, Mapping) else None
