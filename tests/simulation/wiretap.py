"""Listens to one connection, and holds what goes over it to the promise, frame by frame.

The client's machine forgives much: it drops what is not above its position, and fetches anew when in doubt. Here
nothing is forgiven, so a server's mistake is seen even where no client would suffer from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.simulation.judge import Judge, Position, Violation, read

Frame = dict[str, Any]
REASONS = {
    "no_cursor", "bad_cursor", "no_history", "expired", "trimmed", "epoch_changed", "ahead", "too_many",
    "permission_changed", "unavailable",
}  # fmt: skip


@dataclass
class Asked:
    """A frame of the client's that has an ``id``."""

    kind: str
    at: float
    since: dict[str, str]


@dataclass
class Wiretap:
    """One connection of one user.

    :ivar marks: texts that stand in every event of other tenants, and must never be seen here.
    :ivar held: topics that the server said it holds for this connection, with the last position sent.
    """

    judge: Judge
    name: str
    user: str
    tenant: str | None
    marks: tuple[str, ...]
    asked: dict[Any, Asked] = field(default_factory=dict)
    held: dict[str, Position | None] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    open: bool = True
    began_at: float = 0.0
    token_until: float | None = None

    def shows(self, token: str | None) -> None:
        """The client shows a token."""
        until = (token or "").partition("!")[2]
        if until and (self.token_until is None or float(until) < self.token_until):
            self.token_until = float(until)

    def ended(self, code: int | None) -> None:
        """The server, or the network, has ended the connection."""
        if self.open:
            self.judge.note(f"{self.name} was ended with {code}")
            self.judge.check_end(self.name, self.user, code, self.began_at, self.token_until)
            self.closed()

    def sent(self, frame: Frame) -> None:
        """The client asks."""
        if frame["type"] == "auth":
            self.shows(frame["token"])
        if "id" in frame:
            self.asked[frame["id"]] = Asked(frame["type"], self.judge.now(), frame.get("since") or {})

    def closed(self) -> None:
        self.open = False
        self.asked.clear()

    def late(self, seconds: float) -> Violation | None:
        """What was asked long ago, and has no answer."""
        now = self.judge.now()
        for frame_id, asked in self.asked.items():
            if self.open and now - asked.at > seconds:
                text = f"{self.name}: {asked.kind} {frame_id} has no answer after {now - asked.at:.0f} s"
                return Violation(18, text)
        return None

    def heard(self, text: str, frame: Frame) -> None:
        """A frame arrives."""
        for mark in self.marks:
            if mark in text:
                raise Violation(13, f"{self.name} of {self.tenant} was sent {text[:200]}")
        kind = frame.get("type")
        if kind is None:
            self._event(frame)
        elif kind == "subscribed":
            self._subscribed(frame)
        elif kind == "unsubscribed":
            self._answered(frame, "unsubscribe")
            for topic in frame["topics"]:
                self.held.pop(topic, None)
        elif kind == "error":
            self._error(frame)
        elif kind == "published":
            self._answered(frame, "publish")
        elif kind == "pong":
            self._answered(frame, "ping")
        elif kind == "welcome":
            for frame_id in [one for one, asked in self.asked.items() if asked.kind == "auth"][:1]:
                del self.asked[frame_id]

    def _answered(self, frame: Frame, kind: str) -> Asked | None:
        if "id" not in frame or not self.open:
            return None
        asked = self.asked.pop(frame["id"], None)
        if asked is None or asked.kind != kind:
            raise Violation(18, f"{self.name} was answered what it had not asked: {frame}")
        return asked

    def _error(self, frame: Frame) -> None:
        if frame["code"] == "token_expired" and self.open:
            self.judge.check_end(self.name, "", 4401, self.began_at, self.token_until)
        asked = self.asked.get(frame.get("id"))
        if asked is not None and not (asked.kind == "subscribe" and frame["topic"] != "system"):
            del self.asked[frame["id"]]

    def _event(self, event: Frame) -> None:
        topic = (self.tenant, event["topic"])
        self.judge.check_event(self.user, topic, event)
        epoch, offset = now = read(event["cursor"])
        name = event["topic"]
        if name in self.held:
            before = self.held[name]
            if before is not None:
                self.judge.check_follows(self.name, self.user, topic, before, now)
            self.held[name] = now
        elif f"{name.partition(':')[0]}:*" in self.held:
            if offset <= self.seen.get((name, epoch), 0):
                raise Violation(3, f"{self.name} got {event['cursor']} of {topic} by the wildcard, again")
        else:
            raise Violation(14, f"{self.name} got {event['cursor']} of {topic}, which it does not hold")
        self.seen[name, epoch] = max(offset, self.seen.get((name, epoch), 0))

    def _subscribed(self, frame: Frame) -> None:
        asked = self._answered(frame, "subscribe")
        for topic, answer in frame["topics"].items():
            self._check(topic, answer, asked)
            cursor = answer["cursor"]
            position = None if cursor is None else read(cursor)
            before = self.held.get(topic)
            if "id" in frame and before is not None and answer["recovered"]:
                continue  # it was held already: nothing is replayed
            self.held[topic] = position

    def _check(self, topic: str, answer: Frame, asked: Asked | None) -> None:
        cursor, recovered = answer["cursor"], answer["recovered"]
        since = None if asked is None else asked.since.get(topic)
        if recovered == ("reason" in answer) or answer.get("reason", "trimmed") not in REASONS:
            raise Violation(11, f"{self.name}: {answer} for {topic} does not say why")
        if topic.endswith(":*"):
            if cursor is not None or recovered:
                raise Violation(11, f"{self.name}: {topic} has no position, and was given {answer}")
            return
        if recovered and asked is not None and since is not None and topic not in self.held:
            if cursor != since:
                raise Violation(11, f"{self.name} asked {topic} since {since}, and starts at {cursor}")
            self.judge.check_recovered(self.name, (self.tenant, topic), since, asked.at)
        self.judge.check_cursor(self.name, (self.tenant, topic), cursor)
