"""What one poll asks for: topics, their positions, and who waits for the first answer about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidings.client.transports.link import Frame

PASSING = frozenset({"rate_limited", "unavailable", "internal"})
"""Refusals that pass by themselves; any other ends the topic."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one request asked."""

    topics: Sequence[str]
    since: Mapping[str, str]

    @property
    def body(self) -> dict[str, Any]:
        """The same as the request's JSON."""
        return {"topics": list(self.topics), "since": dict(self.since)}


@dataclass(slots=True)
class _Followed:
    """A topic; ``waits``: the machine's question ``frame_id`` has not been answered for it."""

    cursor: str | None
    frame_id: object
    waits: bool = True


class PollTopics:
    """The topics of one request after the other."""

    def __init__(self) -> None:
        self._topics: dict[str, _Followed] = {}

    def __len__(self) -> int:
        return len(self._topics)

    def any(self) -> str | None:
        """One of them, to knock with."""
        return next(iter(self._topics), None)

    def add(self, names: Iterable[str], since: Mapping[str, str], frame_id: object) -> None:
        """Ask for these from now on."""
        for name in names:
            self._topics[name] = _Followed(since.get(name), frame_id)

    def remove(self, names: Iterable[str]) -> None:
        """Ask for these no more."""
        for name in names:
            self._topics.pop(name, None)

    def question(self) -> Question:
        """What to ask now."""
        since = {name: topic.cursor for name, topic in self._topics.items() if topic.cursor is not None}
        return Question(list(self._topics), since)

    def answer(self, question: Question, frames: Iterable[Frame]) -> list[Frame]:
        """The frames of an answer as a session would send them: each topic's start is told once."""
        # One that left and came back meanwhile, with another position, has not been asked for yet.
        asked = {
            name
            for name in question.topics
            if (topic := self._topics.get(name)) is not None and question.since.get(name) == topic.cursor
        }
        told: list[Frame] = []
        for frame in frames:
            kind = frame.get("type")
            if "type" not in frame:
                told += self._event(frame, asked)
            elif kind == "subscribed":
                told += self._subscribed(frame, asked)
            elif kind == "error":
                told += self._refused(frame)
            else:
                told.append(frame)
        return told

    def _event(self, frame: Frame, asked: set[str]) -> list[Frame]:
        topic = self._find(frame)
        if topic is None or frame["topic"] not in asked:
            return []
        cursor = frame.get("cursor")
        if isinstance(cursor, str):
            topic.cursor = cursor
        return [frame]

    def _subscribed(self, frame: Frame, asked: set[str]) -> list[Frame]:
        answers = frame.get("topics")
        started: dict[Any, dict[str, Any]] = {}
        broken: dict[str, Any] = {}
        for name, answer in (answers if isinstance(answers, dict) else {}).items():
            topic = self._topics.get(name)
            if topic is None or name not in asked or not isinstance(answer, dict):
                continue
            cursor = answer.get("cursor")
            topic.cursor = cursor if isinstance(cursor, str) else None
            if topic.waits:
                topic.waits = False
                started.setdefault(topic.frame_id, {})[name] = answer
            elif answer.get("recovered") is not True:
                broken[name] = answer
        told: list[Frame] = [_subscribed(topics, frame_id) for frame_id, topics in started.items()]
        return [*told, _subscribed(broken, None)] if broken else told

    def _refused(self, frame: Frame) -> list[Frame]:
        topic = self._find(frame)
        if topic is None:
            return [frame]
        if topic.waits:
            # The machine decides whether and when to ask again.
            del self._topics[frame["topic"]]
            error = {name: value for name, value in frame.items() if name != "id"}
            return [error if topic.frame_id is None else {**error, "id": topic.frame_id}]
        if frame.get("code") in PASSING:
            return []  # it is asked for again with the others
        del self._topics[frame["topic"]]
        reason = "permission_changed"
        return [{"type": "unsubscribed", "topic": "system", "topics": [frame["topic"]], "reason": reason}]

    def _find(self, frame: Frame) -> _Followed | None:
        name = frame.get("topic")
        return self._topics.get(name) if isinstance(name, str) else None


def _subscribed(topics: Mapping[str, Any], frame_id: object) -> Frame:
    frame = {"type": "subscribed", "topic": "system", "topics": topics}
    return frame if frame_id is None else {**frame, "id": frame_id}
