"""Answers of a back end that are remembered for as long as each says."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

TTL_SECONDS_MAX = 3_600.0  # a right that is taken away ends after so long, whatever the back end says
ANSWERS_MAX = 10_000

T = TypeVar("T")


class Memory(Generic[T]):
    """Answers by question; the oldest goes first where there are too many. Times are of a clock that only grows."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, key: bytes, now: float) -> T | None:
        """What was answered, while that holds."""
        found = self._answers.get(key)
        if found is None:
            return None
        until, answer = found
        if now < until:
            return answer
        del self._answers[key]
        return None

    def put(self, key: bytes, answer: T, ttl_seconds: float, now: float) -> None:
        """Remember it for ``ttl_seconds``, at most an hour; 0 forgets it."""
        self._answers.pop(key, None)
        if ttl_seconds > 0:
            self._answers[key] = (now + min(ttl_seconds, TTL_SECONDS_MAX), answer)
        while len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)
