"""What Tidings holds itself to, as ratios within one run; each is met, missed or not measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.results import Results

FAN_OUT = ("fanout_w1", "fanout_w16", "crowd_w1", "crowd_w16")
AHEAD_OF = ("centrifuge", "ws", "socketio")
MEMORY_BYTES_MAX = 6_000
P99_RATIO_MAX = 1.5


class Goal(NamedTuple):
    """One goal and what came of it; ``figure`` is None where it was not measured."""

    words: str
    figure: float | None
    bound: float
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """None where it was not measured."""
        if self.figure is None:
            return None
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound


def goals(results: Results) -> Sequence[Goal]:
    """All goals, for the fast transport."""

    def ratio(name: str, to: str) -> float | None:
        return results.ratio("tidings", to, name)

    ahead = [ratio(name, peer) for name in FAN_OUT for peer in AHEAD_OF]
    measured = [one for one in ahead if one is not None]
    return (
        Goal("1,000 on one topic, W=1, to the C loop with one write a delivery", ratio("fanout_w1", "limit"), 0.75),
        Goal("the same to uWebSockets", ratio("fanout_w1", "uws"), 0.75),
        Goal("W=16, to uWebSockets", ratio("fanout_w16", "uws"), 0.85),
        Goal("W=16, to the ConnectionManager", ratio("fanout_w16", "seed"), 15.0),
        Goal("the least to Centrifuge, `ws` and Socket.IO in any row of fan-out", min(measured, default=None), 1),
        Goal("memory of an idle connection in the process, bytes", results.median("tidings", "memory_own_bytes"),
             MEMORY_BYTES_MAX, at_most=True),
        Goal("the same to the ConnectionManager", ratio("memory_own_bytes", "seed"), 0.2, at_most=True),
        Goal("connections set up a second, to uvicorn alone", ratio("setup_per_second", "uvicorn"), 1.3),
        Goal("p99 while one reader in ten stands still, to the calm p99",
             results.median("tidings", "stalled_p99_ratio"), P99_RATIO_MAX, at_most=True),
    )  # fmt: skip


def markdown(results: Results) -> str:
    """A table of them; empty where none was measured."""
    found = [goal for goal in goals(results) if goal.figure is not None]
    if not found:
        return ""
    lines = ["| goal | figure | bound | |", "| --- | ---: | ---: | --- |"]
    for goal in found:
        bound = f"{'at most' if goal.at_most else 'at least'} {goal.bound:,g}"
        lines.append(f"| {goal.words} | {goal.figure:,.4g} | {bound} | {'met' if goal.met else 'missed'} |")
    return "\n".join(lines)
