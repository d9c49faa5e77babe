"""Holds a run to the promise: whole, in order, once, or told. Knows nothing of how the events were made.

It sees what publishers were told, and what each client's handlers got; cursors are read as the wire has them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

Topic = tuple[str | None, str]


class Violation(AssertionError):
    """The promise was broken."""


@dataclass
class Judge:
    """``sometimes`` counts the interesting states; over many seeds each must have been reached."""

    published: dict[tuple[Topic, str], int] = field(default_factory=dict)
    positions: dict[tuple[str, Topic], str | None] = field(default_factory=dict)
    sometimes: Counter[str] = field(default_factory=Counter)

    def stored(self, topic: Topic, cursor: str, number: int) -> None:
        """A publish was answered."""
        known = self.published.setdefault((topic, cursor), number)
        if known != number:
            raise Violation(f"{cursor} of {topic} names two events: {known} and {number}")

    def starts(self, client: str, topic: Topic, cursor: str | None) -> None:
        """A client holds data at this position, and follows from there."""
        self.positions[client, topic] = cursor

    def delivered(self, client: str, topic: Topic, event: dict[str, Any]) -> None:
        """A handler was called."""
        cursor, number = event["cursor"], event["data"]["payload"]
        known = self.published.get((topic, cursor))
        if known is not None and known != number:
            raise Violation(f"{client} got {number} at {cursor} of {topic}, where {known} was stored")
        if event["data"].get("tenant_id") != topic[0]:
            raise Violation(f"{client} of {topic[0]} got an event of {event['data'].get('tenant_id')}")
        before = self.positions.get((client, topic))
        if before is not None:
            epoch, offset = _read(before)
            if _read(cursor) != (epoch, offset + 1):
                raise Violation(f"{client} on {topic}: after {before} came {cursor}, and nothing was told")
        self.positions[client, topic] = cursor
        self.sometimes["delivered"] += 1

    def told(self, client: str, topic: Topic, reason: str, cursor: str | None) -> None:
        """A gap was told: the client fetches its data anew, and goes on from the cursor."""
        self.positions[client, topic] = cursor
        self.sometimes[f"told: {reason}"] += 1

    def ends(self, client: str, topic: Topic, head: str) -> None:
        """All is healed and quiet: who follows is at the head."""
        position = self.positions.get((client, topic))
        if position is None:
            raise Violation(f"{client} on {topic} never learned where it is, and the head is {head}")
        if _read(position) != _read(head):
            raise Violation(f"{client} on {topic} stands at {position}, and the head is {head}")


def _read(cursor: str) -> tuple[str, int]:
    epoch, _, offset = cursor.partition("-")
    return epoch, int(offset)
