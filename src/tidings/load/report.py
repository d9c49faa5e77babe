"""What a load says at its end; field for field what ``tidings bench --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidings.load.histogram import Histogram

BUSY_SHARE = 0.9  # of a core: above it the load itself is what is measured


class Times(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds, and the counts below 1, 2, 5, 10 ms and so on: ``[bound in ms, count]``."""

    p50: float
    p90: float
    p99: float
    p999: float
    max: float
    histogram: list[tuple[float, int]]

    @classmethod
    def of(cls, histogram: Histogram) -> Times:
        """Read them off."""
        p50, p90, p99, p999 = (round(histogram.at(share) / 1e6, 3) for share in (0.5, 0.9, 0.99, 0.999))
        steps = [(bound / 1e6, count) for bound, count in histogram.steps()]
        return cls(p50, p90, p99, p999, round(histogram.maximum_ns / 1e6, 3), steps)


class Connections(msgspec.Struct, frozen=True):
    """How the subscribers fared.

    :ivar opened: those that were subscribed.
    :ivar failed: those that never were.
    :ivar dropped: how often one was lost in the middle.
    :ivar recovered: how often one came back and was told that nothing is missing.
    :ivar gone: those that did not come back.
    """

    wanted: int
    opened: int
    failed: int
    seconds: float
    dropped: int
    recovered: int
    gone: int
    setup_ms: Times


class Report(msgspec.Struct, frozen=True):
    """All of it.

    :ivar expected: deliveries that were due: of every publication that succeeded, one for each of its subscribers.
    :ivar lost: never came, and nobody said so.
    :ivar told: never came, of which the server had said ``recovered: false``.
    :ivar errors: how often, by code of ``spec/codes.json``, by close code or by the system's words.
    :ivar foreign: events of others on the same topics; not counted otherwise.
    :ivar load_cpu_share: how busy this program was, of one core.
    """

    url: str
    connections: Connections
    published: int
    publish_failed: int
    publish_seconds: float
    expected: int
    received: int
    lost: int
    told: int
    doubled: int
    reordered: int
    foreign: int
    latency_ms: Times
    errors: Mapping[str, int]
    load_cpu_share: float

    @property
    def deliveries_per_second(self) -> float:
        """How many arrived a second while there was publishing."""
        return self.received / self.publish_seconds if self.publish_seconds else 0.0

    @property
    def whole(self) -> bool:
        """Whether every subscriber was let in, stayed or came back, and got every event, in order and once."""
        faults = self.lost + self.told + self.doubled + self.reordered + self.publish_failed
        return not faults and not self.connections.failed and not self.connections.gone and self.received > 0

    @property
    def bound_by_load(self) -> bool:
        """Whether this program was so busy that the figures are its own."""
        return self.load_cpu_share > BUSY_SHARE
