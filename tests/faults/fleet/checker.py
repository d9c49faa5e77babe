"""Counts what went wrong, from the publisher's answers and the clients' logs alone. It knows nothing of the product.

What it takes for granted: the numbers of a topic are 1, 2, 3; each was published until it was answered, and only then
the next one; every client subscribed before the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.fleet.publisher import Publication

SHOWN_MAX = 20


@dataclass
class Verdict:
    """What was counted. The first four must be 0, whatever the server went through."""

    lost: int = 0
    """Numbers that a client did not see, and no gap was told."""
    doubled: int = 0
    reordered: int = 0
    restarts_untold: int = 0
    """A client went over to another epoch and was not told."""
    delivered: int = 0
    gaps_told: Counter[str] = field(default_factory=Counter)
    """By reason."""
    covered: int = 0
    """Numbers that a client did not see because of a gap that was told."""
    republished: int = 0
    """Numbers seen again under another epoch: the server forgot, with its events, that they had been published."""
    wrong: list[str] = field(default_factory=list)
    """Anything else, and the first examples of all."""

    def blame(self, text: str) -> None:
        if len(self.wrong) < SHOWN_MAX:
            self.wrong.append(text)


@dataclass
class _Seen:
    """What one client saw of one topic."""

    last: int = 0
    numbers: set[int] = field(default_factory=set)
    epoch: str | None = None
    offset: int = 0
    told: bool = False  # since the last event
    told_at: str = ""  # the cursor where it was told that the topic goes on


class Checker:
    """Reads the logs of clients, line by line, in the order in which each client wrote."""

    def __init__(self, published: Mapping[str, Sequence[Publication]]) -> None:
        self._published = published
        self.verdict = Verdict()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._at: dict[tuple[str, str], int] = {}  # (topic, cursor) to the number that stands there
        for topic, answers in published.items():
            for number, answer in enumerate(answers, 1):
                self._stands(topic, answer.cursor, number, "the publisher")

    def expect(self, client: str, topics: Iterable[str]) -> None:
        """This client subscribed to these topics before the first event."""
        for topic in topics:
            self._seen[client, topic] = _Seen()

    def read(self, lines: Iterable[str]) -> None:
        for line in lines:
            kind, client, topic, what, cursor = line.split()
            seen = self._seen[client, topic]
            if kind == "g":
                self.verdict.gaps_told[what] += 1
                seen.told, seen.told_at = True, cursor
            else:
                self._event(client, topic, int(what), cursor, seen)

    def finish(self) -> Verdict:
        """Judge what is missing at the end."""
        for (client, topic), seen in self._seen.items():
            missing = len(self._published[topic]) - seen.last
            if missing > 0 and seen.told and seen.told_at == self._published[topic][-1].cursor:
                self.verdict.covered += missing
            elif missing > 0:
                self.verdict.lost += missing
                self.verdict.blame(f"{client} {topic}: ended at {seen.last}, {missing} short")
        return self.verdict

    def _event(self, client: str, topic: str, number: int, cursor: str, seen: _Seen) -> None:
        verdict, where = self.verdict, f"{client} {topic}: {number} at {cursor}"
        verdict.delivered += 1
        epoch, _, offset = cursor.rpartition("-")
        self._stands(topic, cursor, number, client)
        if not 1 <= number <= len(self._published[topic]):
            verdict.blame(f"{where} was never published")
        moved = seen.epoch is not None and epoch != seen.epoch
        if moved and not seen.told:
            verdict.restarts_untold += 1
            verdict.blame(f"{where}: was at {seen.epoch}-{seen.offset} and was not told")
        if number in seen.numbers:
            if moved and seen.told and self._may_be_twice(topic, number):
                verdict.republished += 1
            else:
                verdict.doubled += 1
                verdict.blame(f"{where} came before, then {seen.last}")
        elif number < seen.last:
            verdict.reordered += 1
            verdict.blame(f"{where} after {seen.last}")
        elif number > seen.last + 1:
            self._skipped(seen, number - seen.last - 1, where)
        elif not moved and seen.epoch is not None and int(offset) != seen.offset + 1:
            verdict.blame(f"{where}: the offset before was {seen.offset}")
        seen.numbers.add(number)
        seen.last, seen.epoch, seen.offset = max(seen.last, number), epoch, int(offset)
        seen.told = False

    def _skipped(self, seen: _Seen, count: int, where: str) -> None:
        if seen.told:
            self.verdict.covered += count
        else:
            self.verdict.lost += count
            self.verdict.blame(f"{where} after {seen.last}")

    def _may_be_twice(self, topic: str, number: int) -> bool:
        return self._published[topic][number - 1].attempts > 1

    def _stands(self, topic: str, cursor: str, number: int, who: str) -> None:
        other = self._at.setdefault((topic, cursor), number)
        if other != number:
            self.verdict.blame(f"{who} {topic}: {number} at {cursor}, where {other} stands")
