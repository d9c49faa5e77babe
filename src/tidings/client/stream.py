"""The events on their way to one loop of the application, and what is said where some are missing."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tidings.core.events import Event

log = logging.getLogger("tidings.client")

WAITING_EVENTS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a topic may have been missed: fetch its data anew.

    :ivar reason: one of ``unrecovered`` in ``spec/codes.json``, or ``slow``: the loop that reads the events
        fell behind by more than 1,000 of them.
    :ivar cursor: where the events go on; None where nothing is known.
    """

    topic: str
    reason: str
    cursor: str | None


class Stream:
    """The events that wait for one loop, in order, with the gaps in their places; and how it ends."""

    def __init__(self, on_gap: Callable[[Gap], None] | None) -> None:
        self._on_gap = on_gap
        self._waiting: deque[Event | Gap] = deque()
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    def put(self, news: Event | Gap) -> None:
        """Keep it; a loop that falls too far behind is told, and goes on with the newest."""
        if len(self._waiting) >= WAITING_EVENTS_MAX:
            topics = dict.fromkeys(old.topic for old in self._waiting)
            self._waiting.clear()
            self._waiting.extend(Gap(topic, "slow", None) for topic in topics)
        self._waiting.append(news)
        self._news.set()

    def end(self, error: Exception | None) -> None:
        """Nothing more will come."""
        self._ended = True
        self._error = self._error or error
        self._news.set()

    async def next(self) -> Event | None:
        """The next event; None at the end. Raises what ended it, once what came before has been taken."""
        while True:
            while not self._waiting:
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return None
                self._news.clear()
                await self._news.wait()
            news = self._waiting.popleft()
            if isinstance(news, Event):
                return news
            self._tell(news)

    def _tell(self, gap: Gap) -> None:
        if self._on_gap is None:
            log.warning("events of %s may have been missed (%s): fetch its data anew", gap.topic, gap.reason)
            return
        try:
            self._on_gap(gap)
        except Exception:
            log.exception("on_gap raised")
