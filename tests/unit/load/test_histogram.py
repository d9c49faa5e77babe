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
    assert histogram([]).at(0.5) == 0 and histogram([]).steps() == []


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999]))
def test_a_percentile_is_the_value_of_that_rank_within_1_6_percent(values: list[int], share: float) -> None:
    exact = sorted(values)[int(share * len(values))]
    assert exact / (1 + 1 / 64) <= histogram(values).at(share) <= exact


def test_the_largest_is_exact() -> None:
    assert histogram([5, 1_234_567, 3]).maximum_ns == 1_234_567


def test_the_steps_read_as_people_count() -> None:
    one = histogram([900_000, 1_500_000, 1_900_000, 7_000_000])
    assert one.steps() == [(1_000_000, 1), (2_000_000, 2), (5_000_000, 0), (10_000_000, 1)]


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=200))
def test_the_steps_hold_every_value_within_1_6_percent(values: list[int]) -> None:
    running = 0
    for bound, count in histogram(values).steps():
        running += count
        assert sum(value < bound for value in values) <= running <= sum(value < bound * 65 / 64 for value in values)
    assert running == len(values)


def test_a_clock_that_went_back_is_no_error() -> None:
    assert histogram([-5]).at(0.5) == pytest.approx(0)
