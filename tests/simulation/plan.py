"""What a seed draws before anything happens: which faults there are in its run, and how bad each is.

Most are off in most runs: where everything fails all the time, nothing deep is ever reached.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields, replace

from tests.simulation.broker import Troubles
from tidings.core.limits import Limits

TENANTS = (None, "red-t", "blue-t")
TOPICS = ("gift-list:1", "gift-list:2", "gift-list:3")
WILDCARD = "gift-list:*"
CLIENTS = 5
LADDERS = (
    ("websocket",), ("websocket", "sse", "poll"), ("websocket", "sse", "poll"), ("sse", "poll"), ("sse",), ("poll",),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run's faults; the defaults are a calm world, so a fault is taken away by its default."""

    latency_seconds: float = 0.001
    window_bytes: int = 65_536
    cuts_per_minute: float = 0.0
    stalls_per_minute: float = 0.0
    half_open: bool = False
    refuses: float = 0.0
    blocks: bool = False
    slow_readers: bool = False
    sleeps: bool = False
    inside_handlers: bool = False
    wildcards: bool = False
    excludes: bool = False
    without_data: bool = False
    leaky_driver: bool = False
    token_seconds: float | None = None
    client_publishes: bool = False
    revokes: bool = False
    clock_jumps: bool = False
    nodes: int = 1
    crashes: int = 0
    drains: int = 0
    stops: int = 0
    wipes_in_crash: bool = False
    wipes: int = 0
    failovers: int = 0
    interruptions: int = 0
    outages: int = 0
    troubles: Troubles = field(default_factory=Troubles)
    limits: Limits = field(default_factory=lambda: _limits(random.Random(0), tight=False))
    topic_linger_ms: float = 0.0
    buffer_events: int = 256
    publishes_per_second: float = 2.0
    drill: str = "quiet"

    def without(self, *names: str) -> Plan:
        """The same run with some faults taken away."""
        calm = Plan()
        return replace(self, **{name: getattr(calm, name) for name in names})

    def faults(self) -> list[str]:
        """The names of what differs from a calm world."""
        calm = Plan()
        return [one.name for one in fields(self) if getattr(self, one.name) != getattr(calm, one.name)]


def draw_plan(seed: int) -> Plan:
    """The plan of a seed."""
    dice = random.Random(f"{seed}/plan")

    def now_and_then(share: float) -> bool:
        return dice.random() < share

    bad_network, bad_broker, bad_servers = now_and_then(0.6), now_and_then(0.5), now_and_then(0.5)
    return Plan(
        latency_seconds=dice.choice([0.001, 0.05, 0.3]),
        window_bytes=dice.choice([65_536, 1_000]),
        cuts_per_minute=dice.choice([0, 3, 15]) if bad_network else 0,
        stalls_per_minute=dice.choice([0, 4]) if bad_network else 0,
        half_open=bad_network and now_and_then(0.3),
        refuses=dice.choice([0, 0, 0.3]) if bad_network else 0,
        blocks=now_and_then(0.3),
        slow_readers=now_and_then(0.35),
        sleeps=now_and_then(0.3),
        inside_handlers=now_and_then(0.4),
        wildcards=now_and_then(0.3),
        excludes=now_and_then(0.25),
        without_data=now_and_then(0.3),
        leaky_driver=now_and_then(0.3),
        token_seconds=dice.choice([None, None, 8, 40]),
        client_publishes=now_and_then(0.4),
        revokes=now_and_then(0.25),
        clock_jumps=now_and_then(0.3),
        nodes=dice.choice([1, 1, 2, 3]),
        crashes=dice.choice([0, 1, 3]) if bad_servers else 0,
        drains=dice.choice([0, 1, 2]) if bad_servers else 0,
        stops=dice.choice([0, 0, 1]) if bad_servers else 0,
        wipes_in_crash=bad_servers and now_and_then(0.3),
        wipes=dice.choice([0, 0, 0, 1, 2]) if bad_broker else 0,
        failovers=dice.choice([0, 0, 0, 1]) if bad_broker else 0,
        interruptions=dice.choice([0, 0, 3]) if bad_broker else 0,
        outages=dice.choice([0, 0, 2]) if bad_broker else 0,
        troubles=_troubles(dice, bad=bad_broker),
        limits=_limits(dice, tight=now_and_then(0.5)),
        topic_linger_ms=dice.choice([0, 0, 5_000]),
        buffer_events=dice.choice([256, 256, 2]),
        publishes_per_second=dice.choice([0.5, 2, 2, 8]),
        drill=dice.choice(["quiet", "interrupted", "slow", "herd"]),
    )


def _troubles(dice: random.Random, *, bad: bool) -> Troubles:
    rules_raise, auth_fails = dice.choice([0] * 9 + [0.05]), dice.choice([0, 0, 0, 0.2])
    if not bad:
        latency_seconds = dice.choice([0, 0, 0.002])
        return Troubles(latency_seconds=latency_seconds, rules_raise=rules_raise, auth_fails=auth_fails)
    return Troubles(
        rules_raise=rules_raise,
        auth_fails=auth_fails,
        latency_seconds=dice.choice([0, 0.002, 0.05]),
        slow_seconds=dice.choice([0, 0, 2]),
        requests_lost=dice.choice([0, 0.1]),
        replies_lost=dice.choice([0, 0.2]),
        stored_late=dice.choice([0, 0, 0.1]),
        drops=dice.choice([0, 0.1, 0.5]),
        repeats=dice.choice([0, 0.2]),
        delays=dice.choice([0, 0.2]),
        surprises=dice.choice([0, 0, 0, 0.02]),
    )


def _limits(dice: random.Random, *, tight: bool) -> Limits:
    """Small limits find more than many steps."""

    def pick(calm: int, *small: int) -> int:
        return dice.choice([calm, *small]) if tight else calm

    backlog_bytes = pick(1_048_576, 3_000)
    return Limits(
        history_events=pick(1_000, 2, 5),
        history_seconds=pick(3_600, 8),
        recovery_events=pick(1_000, 3, 8),
        page_events=pick(100, 1, 2),
        page_bytes=pick(262_144, 500),
        hold_bytes=pick(1_048_576, 400),
        backlog_bytes=backlog_bytes,
        topics_per_connection=pick(256, 2),
        waiting_frames=pick(256, 2),
        connections_per_user=0,
        frames_per_second=0,
        publishes_per_second=0,
        bad_frames_per_minute=0,
    )
