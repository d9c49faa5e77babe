"""Figures that tests measure, shown at the end of the run."""

from __future__ import annotations


class Figures:
    """What was measured, a line each."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, what: str, **values: float) -> None:
        """``add("added, shown", median_ms=12.3)``: the unit is part of the name."""
        said = ", ".join(f"{name} {value:.0f}" for name, value in values.items())
        self.lines.append(f"{what}: {said}")
