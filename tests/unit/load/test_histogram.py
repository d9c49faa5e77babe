"""The histogram of ``tidings bench``: close to the truth, whatever the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.load.histogram import Histogram


def histogram(values: list[int]) -> Histogram:
    one = Histogram()
    for value in values:
        one.add(value)
    return one


def test_nothing() -> None:
    assert histogram([]).at(0.5) == 0 and histogram([]).octaves() == []


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]))
def test_a_percentile_is_the_value_of_that_rank_within_1_6_percent(values: list[int], share: float) -> None:
    exact = sorted(values)[int(share * len(values))]
    assert exact / (1 + 1 / 64) <= histogram(values).at(share) <= exact


def test_the_largest_is_exact() -> None:
    assert histogram([5, 1_234_567, 3]).maximum_ns == 1_234_567


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200))
def test_the_octaves_hold_every_value_under_its_bound(values: list[int]) -> None:
    octaves = histogram(values).octaves()
    assert sum(count for _, count in octaves) == len(values)
    assert octaves[-1][0] > max(values) * 63 // 64 and octaves[0][1] > 0
    below = {bound: sum(value < bound for value in values) for bound, _ in octaves}
    running = 0
    for bound, count in octaves:
        running += count
        assert running == below[bound]


def test_a_clock_that_went_back_is_no_error() -> None:
    assert histogram([-5]).at(0.5) == pytest.approx(0)
