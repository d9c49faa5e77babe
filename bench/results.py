"""The figures of a whole run: gathered round by round, then medians, spreads and ratios."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Results:
    """All figures: by peer, by name, one a round.

    :ivar skipped: by peer, why it did not run.
    :ivar failed: what went wrong, a line each.
    """

    facts: dict[str, Any]
    rounds: defaultdict[str, defaultdict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    titles: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def add(self, peer: str, figures: dict[str, float]) -> None:
        """Keep what one session gave."""
        for name, value in figures.items():
            self.rounds[peer][name].append(value)

    def median(self, peer: str, name: str) -> float | None:
        """The middle of the rounds; None where there was none."""
        values = self.rounds[peer].get(name) if peer in self.rounds else None
        return statistics.median(values) if values else None

    def spread(self, peer: str, name: str) -> float | None:
        """How far apart the rounds lay: half of the largest less the smallest, as a share of the median."""
        values, median = self.rounds[peer].get(name), self.median(peer, name)
        return (max(values) - min(values)) / 2 / median if values and median else None

    def ratio(self, peer: str, to: str, name: str) -> float | None:
        """The median of the ratios round by round: what drifts with the machine falls out."""
        mine, others = self.rounds[peer].get(name), self.rounds[to].get(name) if to in self.rounds else None
        if not mine or not others:
            return None
        return statistics.median(a / b for a, b in zip(mine, others, strict=False) if b)

    @property
    def subject(self) -> str | None:
        """Which of Tidings' rows the others are held against: the fast one where it ran."""
        return next((name for name in ("tidings", "tidings-asgi") if self.rounds.get(name)), None)

    def foreign_share(self) -> float:
        """How much of a core other work took while this was measured: the middle of all measurements."""
        shares = [
            share
            for figures in self.rounds.values()
            for name, values in figures.items()
            if name.startswith("foreign_share_")
            for share in values
        ]
        return statistics.median(shares) if shares else 0.0

    def save(self, path: Path) -> None:
        """Write all of it as JSON."""
        value = {
            "facts": self.facts, "titles": self.titles, "skipped": self.skipped, "failed": self.failed,
            "rounds": {peer: dict(figures) for peer, figures in self.rounds.items()},
            "medians": {
                peer: {name: statistics.median(values) for name, values in figures.items()}
                for peer, figures in self.rounds.items()
            },
        }  # fmt: skip
        path.write_text(json.dumps(value, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what save wrote."""
        value = json.loads(path.read_text())
        results = cls(value["facts"])
        results.titles, results.skipped, results.failed = value["titles"], value["skipped"], value["failed"]
        for peer, figures in value["rounds"].items():
            for name, values in figures.items():
                results.rounds[peer][name] = values
        return results
