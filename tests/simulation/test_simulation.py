"""Core, broker and clients in one process, under a virtual clock and a seed: whole, in order, once, or told."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.simulation.world import play

SEEDS = 500
SEEDS_NIGHTLY = 10_000
# Each must have happened over the seeds, or the simulation tests a fantasy.
SOMETIMES = ["delivered", "crashed", "cut", "told: epoch_changed", "told: trimmed", "told: too_many"]


def play_all(first: int, count: int) -> None:
    total: Counter[str] = Counter()
    for seed in range(first, first + count):
        total += play(seed)
    assert [name for name in SOMETIMES if not total[name]] == [], total


@pytest.mark.timeout(600)
def test_seeds() -> None:
    play_all(int(os.environ.get("SIMULATION_FIRST_SEED", "0")), SEEDS)


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
def test_many_seeds() -> None:
    play_all(100_000, SEEDS_NIGHTLY)
