"""The events on their way to one loop of the application, and what is said where some are missing."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tidings.core.events import Event

log = logging.getLogger("tidings.client")

WAITING_EVENTS_MAX = 1_000  # as many as one topic recovers
PATIENCE_SECONDS = 5.0  # for so long the connection waits for a loop; half the time that a publish has


@dataclass(frozen=True, slots=True)
class Gap:
    """Events of a topic may have been missed: fetch its data anew.

    :ivar reason: one of ``unrecovered`` in ``spec/codes.json``, or ``slow``: the loop that reads the events
        was behind by 1,000 of them for 5 s.
    :ivar cursor: where the events go on; None where nothing is known.
    """

    topic: str
    reason: str
    cursor: str | None


class Stream:
    """The events that wait for one loop, in order, with the gaps in their places; and how it ends.

    A loop that is behind slows the connection down (``room``), so that a burst, such as a recovery of many
    topics, is not lost on one that only needs its turn. One that stays behind costs the others no more than
    PATIENCE_SECONDS: what waits for it is dropped, and it is told by a gap.
    """

    def __init__(self, on_gap: Callable[[Gap], None] | None, on_refetch: Callable[[], None] | None = None) -> None:
        self._on_gap = on_gap
        self._on_refetch = on_refetch
        self._waiting: deque[Event | Gap] = deque()
        self._behind_since: float | None = None  # seconds of the loop's clock
        self._ended = False
        self._error: Exception | None = None
        self._news = asyncio.Event()
        self._taken = asyncio.Event()

    def put(self, news: Event | Gap) -> None:
        """Keep it; a loop that stayed behind is told, and goes on with the newest."""
        if len(self._waiting) >= WAITING_EVENTS_MAX:
            topics = dict.fromkeys(old.topic for old in self._waiting)
            self._waiting.clear()
            self._waiting.extend(Gap(topic, "slow", None) for topic in topics)
            self._behind_since = None
        self._waiting.append(news)
        self._news.set()

    def refetch(self) -> None:
        """No event can come at the moment: say so now, for the loop may wait for long."""
        if self._on_refetch is None or self._ended:
            return
        try:
            self._on_refetch()
        except Exception:
            log.exception("on_refetch raised")

    async def room(self) -> None:
        """Return when one more fits, or when the loop has been behind for too long."""
        while len(self._waiting) >= WAITING_EVENTS_MAX and not self._ended:
            if self._behind_since is None:
                self._behind_since = asyncio.get_running_loop().time()
            self._taken.clear()
            try:
                async with asyncio.timeout_at(self._behind_since + PATIENCE_SECONDS):
                    await self._taken.wait()
            except TimeoutError:
                return

    def end(self, error: Exception | None) -> None:
        """Nothing more will come."""
        self._ended = True
        self._error = self._error or error
        self._news.set()
        self._taken.set()

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
            self._taken.set()
            if len(self._waiting) <= WAITING_EVENTS_MAX // 2:
                self._behind_since = None
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
