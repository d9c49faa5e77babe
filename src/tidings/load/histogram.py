"""Times in buckets that are 1.6 % wide: a million values cost no more than ten."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

_STEPS_LOG2 = 6  # 64 steps from a power of two to the next
_STEPS = 1 << _STEPS_LOG2
_BOUNDS_NS = [digit * 10**power for power in range(19) for digit in (1, 2, 5)]  # beyond the age of any clock here


class Histogram:
    """Values in nanoseconds; a percentile is off by 1.6 % at most."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total = 0
        self.maximum_ns = 0

    def add(self, value_ns: int) -> None:
        """Count a value; a negative one, of a clock that is another, as 0."""
        self._counts[_bucket(max(value_ns, 0))] += 1
        self.total += 1
        self.maximum_ns = max(self.maximum_ns, value_ns)

    def at(self, share: float) -> int:
        """The value in nanoseconds that this share of all does not exceed; 0 where there is none."""
        left = share * self.total
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left < 0:
                return _floor(bucket)
        return self.maximum_ns

    def steps(self) -> list[tuple[int, int]]:
        """How many values lie below each bound of the series 1, 2, 5, 10 ns and so on, and not below the one before.

        Empty ends are left out. A value within 1.6 % above a bound may be counted below it.
        """
        counts: Counter[int] = Counter()
        for bucket, count in self._counts.items():
            counts[bisect_right(_BOUNDS_NS, _floor(bucket))] += count
        if not counts:
            return []
        return [(_BOUNDS_NS[number], counts[number]) for number in range(min(counts), max(counts) + 1)]


def _bucket(value: int) -> int:
    if value < _STEPS:
        return value
    power = value.bit_length() - 1
    return (power - _STEPS_LOG2 + 1) * _STEPS + (value >> (power - _STEPS_LOG2)) - _STEPS


def _floor(bucket: int) -> int:
    if bucket < _STEPS:
        return bucket
    power = bucket // _STEPS + _STEPS_LOG2 - 1
    return (_STEPS + bucket % _STEPS) << (power - _STEPS_LOG2)
