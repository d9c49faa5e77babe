"""A position in a topic: (epoch, offset), one value, one string.

The epoch names one life of a topic's history; it is made once, at random, in the broker's data. Offsets
count that life's events from 1; offset 0 is the place before the first. Applications treat the string as
opaque; clients compare two cursors by one rule (``spec/vectors/cursors.json``): in the same epoch by
offset, across epochs not at all.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OFFSET_MAX = 2**63 - 1
_CURSOR = re.compile(r"([a-z0-9]{1,32})-(0|[1-9][0-9]{0,18})")


class Cursor(NamedTuple):
    """One place in one life of a topic's history."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read ``epoch-offset``; raise ValueError for anything else."""
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise ValueError("not a cursor: it must be epoch-offset, as this server gave it out")
        offset = int(match[2])
        if offset > OFFSET_MAX:
            raise ValueError("not a cursor: the offset is above 2^63-1")
        return cls(match[1], offset)

    def after(self, other: Cursor) -> bool | None:
        """Whether this place lies after the other; None where their epochs differ and nothing is known."""
        if self.epoch != other.epoch:
            return None
        return self.offset > other.offset
