"""What one subscriber saw of one topic: each publication carries its number, counted from 1."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple


class Account(NamedTuple):
    """What is wrong at the end.

    :ivar lost: publications that never came, and nobody said so.
    :ivar told: those that never came, of which the server had said ``recovered: false``.
    """

    received: int
    lost: int
    told: int
    doubled: int
    reordered: int


class Ledger:
    """Exact, whatever the order: the numbers that are missing so far are kept, and nothing else."""

    __slots__ = ("_doubled", "_highest", "_missing", "_received", "_reordered", "_told_until")

    def __init__(self) -> None:
        self._highest = 0
        self._missing: set[int] = set()
        self._received = 0
        self._doubled = 0
        self._reordered = 0
        self._told_until = 0

    def arrived(self, number: int) -> None:
        """Note a publication."""
        if number > self._highest:
            self._missing.update(range(self._highest + 1, number))
            self._highest = number
        elif number in self._missing:
            self._missing.remove(number)
            self._reordered += 1
        else:
            self._doubled += 1
            return
        self._received += 1

    def told(self, until: int) -> None:
        """Note that the server said that events may be missing: up to this number none is lost in silence."""
        self._told_until = max(self._told_until, until)

    def has_all(self, published: int, failed: Set[int]) -> bool:
        """Whether nothing is missing that was published, up to this number."""
        return not (self._missing - failed) and all(n in failed for n in range(self._highest + 1, published + 1))

    def close(self, published: int, failed: Set[int]) -> Account:
        """Say what is wrong, when this many have been published, of which some failed at the publisher."""
        missing = (self._missing | set(range(self._highest + 1, published + 1))) - failed
        missing = {number for number in missing if number <= published}
        told = sum(1 for number in missing if number <= self._told_until)
        return Account(self._received, len(missing) - told, told, self._doubled, self._reordered)
