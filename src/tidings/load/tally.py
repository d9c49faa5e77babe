"""What all subscribers of a load count together."""

from __future__ import annotations

from collections import Counter, defaultdict

from tidings.load.histogram import Histogram


class Tally:
    """One for a load: totals, times, and the numbers that the publisher has given out by topic.

    :ivar run_id: marks the events of this load; those of others are foreign.
    :ivar published: the last number given out, by topic.
    :ivar failed: numbers whose publication did not succeed, by topic.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.latency = Histogram()
        self.setup = Histogram()
        self.errors: Counter[str] = Counter()
        self.published: Counter[str] = Counter()
        self.failed: defaultdict[str, set[int]] = defaultdict(set)
        self.received = 0
        self.foreign = 0
        self.dropped = 0
        self.recovered = 0
        self.opened = 0
        self.not_opened = 0
