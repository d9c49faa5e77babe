"""M1 to M32: each mistake, planted in a copy, is caught by each test that is said to catch it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations.by_name import MISTAKES, SIMULATION
from tests.mutations.planting import is_caught, plant

PLANTED = [(name, by) for name, mistake in MISTAKES.items() if mistake.edits for by in mistake.caught_by]


def test_all_thirty_two_are_there() -> None:
    assert list(MISTAKES) == [f"M{number}" for number in range(1, 33)]
    for name, mistake in MISTAKES.items():
        assert bool(mistake.edits) != bool(mistake.not_planted), name


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "by"), PLANTED, ids=[f"{name}: {'simulation' if by == SIMULATION else by}" for name, by in PLANTED]
)
def test_caught(name: str, by: str, tmp_path: Path) -> None:
    plant(tmp_path, MISTAKES[name].edits)
    caught, said = is_caught(tmp_path, by)
    assert caught, f"{name} ({MISTAKES[name].words}) survived: {said}"
