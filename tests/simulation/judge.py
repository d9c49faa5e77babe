"""Holds a run to the promise: whole, in order, once, or told. Knows nothing of how the events were made.

It sees what publishers were told, what the record of the brokers holds, and what each handler of each client got;
cursors are read as the wire has them. What goes over each connection is :mod:`.wiretap`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Topic = tuple[str | None, str]
Position = tuple[str, int]

INVARIANTS = {
    1: "no invention",
    2: "no silent gap",
    3: "once",
    4: "order",
    5: "acknowledged is kept",
    6: "failed is absent, unknown is zero or one",
    7: "one key, one event",
    8: "publisher order",
    9: "commit order",
    10: "no lost-update window",
    11: "honest cursor",
    12: "epoch discipline",
    13: "isolation",
    14: "after unsubscribe, silence",
    15: "bounded",
    16: "liveness",
    17: "slow does not hurt",
    18: "every request answered",
    19: "no false alarm",  # ours: no connection is ended for a reason that is not there
}
NOT_YET = {9: "there is no outbox yet, so no transaction to take an order from"}
SILENCE_SECONDS = 12.0  # a right that was withdrawn: a poll's memory of it, and what was under way


class Violation(AssertionError):
    """The promise was broken."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"invariant {number} ({INVARIANTS[number]}): {text}")
        self.number = number
        self.text = text

    def after(self, what: str) -> Violation:
        """The same, with what was waited for."""
        return Violation(self.number, f"{what}, {self.text}")


@dataclass(slots=True)
class Attempt:
    """One event that a publisher wants to be known.

    :ivar outcome: None while it is under way; ``ok``, ``failed``, ``unknown``.
    """

    topic: Topic
    publisher: str
    excluded: str | None
    begun_at: float
    outcome: str | None = None
    stored_at: float | None = None


@dataclass(slots=True)
class Handler:
    """One use of one topic by one client, from its subscription to its end.

    :ivar view: the numbers that its data hold; None where it began without any.
    :ivar tops: by epoch, the highest offset that it was given.
    """

    name: str
    user: str
    topic: Topic
    position: Position | None
    view: set[int] | None
    alive: bool = True
    tops: dict[tuple[str, str], int] = field(default_factory=dict)
    refetches: int = 0

    @property
    def wildcard(self) -> bool:
        return self.topic[1].endswith(":*")


class Judge:
    """``sometimes`` counts the interesting states; over many seeds each must have been reached."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.sometimes: Counter[str] = Counter()
        self.note: Callable[[str], None] = lambda _: None
        self.attempts: dict[int, Attempt] = {}
        self.record: dict[Topic, dict[str, dict[int, int]]] = {}
        self.newest: dict[Topic, Position] = {}
        self.ended: set[tuple[Topic, str]] = set()
        self.rolled: dict[Topic, tuple[Position, float]] = {}
        self.database: dict[Topic, set[int]] = {}
        self.withdrawn: dict[tuple[str, Topic], float] = {}
        self.disconnected: set[str] = set()  # users whose connections were ended at some time
        self._last_answered: dict[tuple[str, Topic], tuple[int, Position]] = {}

    def count(self, name: str) -> None:
        self.sometimes[name] += 1
        self.note(name)

    # What publishers do, and what they are told.

    def publishing(self, number: int, topic: Topic, publisher: str, excluded: str | None) -> None:
        """The change is committed to the application's data, and now it is published."""
        self.attempts[number] = Attempt(topic, publisher, excluded, self.now())
        self.database.setdefault(topic, set()).add(number)

    def answered(self, number: int, cursor: str) -> None:
        attempt = self.attempts[number]
        attempt.outcome = "ok"
        epoch, offset = read(cursor)
        found = self.record.get(attempt.topic, {}).get(epoch, {}).get(offset)
        if found != number:
            raise Violation(5, f"{number} was answered with {cursor} on {attempt.topic}, where {found} is")
        line = (attempt.publisher, attempt.topic)
        before = self._last_answered.get(line)
        if before is not None and before[1][0] == epoch and before[1][1] >= offset:
            raise Violation(8, f"{attempt.publisher} published {before[0]} at {before[1]}, then {number} at {cursor}")
        self._last_answered[line] = number, (epoch, offset)

    def refused(self, number: int) -> None:
        """The publisher was told that nothing is stored."""
        attempt = self.attempts[number]
        attempt.outcome = "failed"
        if attempt.stored_at is not None:
            raise Violation(6, f"{number} was refused, and yet it is in the record of {attempt.topic}")

    def unknown(self, number: int) -> None:
        self.attempts[number].outcome = "unknown"
        self.count("publish unknown")

    def logged(self, topic: Topic, cursor: str, number: int) -> None:
        """The brokers' record has got an event."""
        epoch, offset = read(cursor)
        attempt = self.attempts.get(number)
        if attempt is None or attempt.topic != topic:
            raise Violation(1, f"{number} at {cursor} of {topic} was never published there")
        if attempt.outcome == "failed":
            raise Violation(6, f"{number} was refused, and now it is at {cursor} of {topic}")
        life = self.record.setdefault(topic, {}).setdefault(epoch, {})
        if offset in life:
            raise Violation(12, f"{cursor} of {topic} names {life[offset]} and {number}")
        if number in life.values():
            raise Violation(7, f"{number} is twice in one life of {topic}; the second time at {cursor}")
        if offset != max(life, default=offset - 1) + 1:
            raise Violation(12, f"after {max(life)} the record of {topic} goes on at {cursor}")
        life[offset] = number
        self.newest[topic] = epoch, offset
        attempt.stored_at = self.now()

    def rolled_back(self, topic: Topic, head: str) -> None:
        """The record has lost its end: what stood above is gone, for good."""
        epoch, offset = read(head)
        self.newest[topic] = epoch, offset
        self.rolled[topic] = (epoch, offset), self.now()
        self.count("record lost its end")

    def wiped(self) -> None:
        """All data are gone: every life has ended."""
        for topic, lives in self.record.items():
            self.ended.update((topic, epoch) for epoch in lives)

    # What handlers get.

    def starts(self, handler: Handler) -> None:
        """A handler holds data (or none), and follows from there."""
        self.note(f"{handler.name} starts on {handler.topic} at {handler.position}")

    def delivered(self, handler: Handler, event: dict[str, Any]) -> None:
        """A handler was called."""
        topic = (handler.topic[0], event["topic"])
        cursor, number = event["cursor"], event["data"]["payload"]["n"]
        self.note(f"{handler.name} got {number} at {cursor} of {topic}")
        self.sometimes["delivered"] += 1
        if not handler.alive:
            raise Violation(14, f"{handler.name} has left {handler.topic}, and got {cursor}")
        self.check_event(handler.user, topic, event)
        epoch, offset = read(cursor)
        life = (topic[1], epoch)
        if offset <= handler.tops.get(life, -1):
            raise Violation(3, f"{handler.name} got {cursor} of {topic}, after {handler.tops[life]}")
        handler.tops[life] = offset
        if handler.wildcard:
            return
        if handler.position is not None:
            self.check_follows(handler.name, handler.user, topic, handler.position, (epoch, offset))
        handler.position = epoch, offset
        if handler.view is not None:
            handler.view.add(number)

    def check_event(self, user: str, topic: Topic, event: dict[str, Any]) -> None:
        """What holds for any event that reaches this user, by whatever way."""
        cursor, number = event["cursor"], event["data"]["payload"]["n"]
        if event["data"].get("tenant_id") != topic[0]:
            raise Violation(13, f"{user} of {topic[0]} got an event of {event['data'].get('tenant_id')}")
        epoch, offset = read(cursor)
        stored = self.record.get(topic, {}).get(epoch, {}).get(offset)
        if stored is None:
            raise Violation(1, f"{user} got {number} at {cursor} of {topic}, where nothing was stored")
        if stored != number:
            raise Violation(4, f"{user} got {number} at {cursor} of {topic}, where {stored} was stored")
        attempt = self.attempts[number]
        if attempt.excluded == user:
            raise Violation(14, f"{user} got {number}, from which it was excluded")
        since = self.withdrawn.get((user, topic))
        if since is not None and (attempt.stored_at or 0.0) > since + SILENCE_SECONDS:
            raise Violation(14, f"{user} lost its right to {topic}, and got {number} that came long after")

    def check_follows(self, who: str, user: str, topic: Topic, before: Position, now: Position) -> None:
        """The next event, but for those from which the user was left out."""
        epoch, offset = now
        if epoch != before[0]:
            raise Violation(12, f"{who} on {topic}: after {before} came {now}, and nothing was told")
        if offset <= before[1]:
            raise Violation(3 if offset == before[1] else 4, f"{who} on {topic}: after {before} came {now}")
        life = self.record[topic][epoch]
        missed = [one for one in range(before[1] + 1, offset) if self.attempts[life[one]].excluded != user]
        if missed:
            raise Violation(2, f"{who} on {topic}: after {before} came {now}, and nothing was told")

    def told(self, handler: Handler, reason: str, cursor: str | None) -> None:
        """A gap was told: the client fetches its data anew, and goes on from the cursor."""
        self.count(f"told: {reason}")
        self.note(f"{handler.name} was told {reason} at {cursor} of {handler.topic}")
        if not handler.alive:
            raise Violation(14, f"{handler.name} has left {handler.topic}, and was told {reason}")
        handler.position = None if cursor is None else read(cursor)
        handler.refetches += 1
        if not handler.wildcard:
            self.check_cursor(handler.name, handler.topic, cursor)
            handler.view = set(self.database.get(handler.topic, ()))

    def check_cursor(self, who: str, topic: Topic, cursor: str | None) -> None:
        """A position that somebody was given is one that the topic has reached."""
        if cursor is None:
            return
        epoch, offset = read(cursor)
        top = max(self.record.get(topic, {}).get(epoch, {}), default=0)
        if offset > top:
            raise Violation(11, f"{who} was given {cursor} on {topic}, and the newest is {top}")

    def check_recovered(self, who: str, topic: Topic, since: str, asked_at: float) -> None:
        """Nothing was missed, or it follows: that cannot be said of a place that the record no longer reaches."""
        rolled = self.rolled.get(topic)
        if rolled is None or asked_at <= rolled[1]:
            return
        (epoch, offset), at = rolled
        if read(since)[0] == epoch and read(since)[1] > offset:
            raise Violation(11, f"{who} recovered {topic} from {since}; the record ended at {offset} since {at:.1f} s")

    def check_end(self, who: str, user: str, code: int | None, began_at: float, token_until: float | None) -> None:
        """A server ends a connection only for a reason that is there.

        :param token_until: when the first of the connection's tokens ended.
        """
        now = self.now()
        self.sometimes[f"ended: {code}"] += 1
        if code in (1002, 1003, 1007, 1008, 1009, 4403, 4429):
            raise Violation(19, f"{who} was ended with {code}")
        if code == 4401 and user not in self.disconnected and (token_until is None or now < token_until):
            raise Violation(19, f"{who} was ended with 4401, and its token was good until {token_until}")
        if code == 4408 and now - began_at < 9:
            raise Violation(19, f"{who} was ended with 4408, {now - began_at:.0f} s after it began")

    def lag(self, handler: Handler) -> Violation | None:
        """Why this handler is not whole; None when it is."""
        if handler.wildcard:
            return None
        topic = handler.topic
        stored = {number for life in self.record.get(topic, {}).values() for number in life.values()}
        mine = {number for number in stored if self.attempts[number].excluded != handler.user}
        if handler.view is not None and (missing := mine - handler.view):
            text = f"{handler.name} on {topic} never learned of {sorted(missing)[:5]}; it stands at {handler.position}"
            return Violation(10, text)
        newest, position = self.newest.get(topic), handler.position
        if position is not None and (topic, position[0]) in self.ended:
            text = f"{handler.name} on {topic} stands at {position}, and was not told that those data are gone"
            return Violation(16, text)
        if newest is None or position is None or position == newest:
            return None
        if position[0] == newest[0] and position[1] < newest[1]:
            life = self.record[topic][newest[0]]
            rest = range(position[1] + 1, newest[1] + 1)
            if all(self.attempts[life[offset]].excluded == handler.user for offset in rest if offset in life):
                return None
        if position[0] not in self.record.get(topic, {}):
            return None  # a life without any event yet
        return Violation(16, f"{handler.name} on {topic} stands at {position}, and the newest is {newest}")


def read(cursor: str) -> Position:
    """``epoch-offset``, by a reader of our own."""
    epoch, _, offset = cursor.partition("-")
    return epoch, int(offset)
