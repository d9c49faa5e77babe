"""Tells the user's back end of sessions as they come and go: in batches, off the way of everything else.

    {"id": "...", "type": "events", "dropped": 0, "events": [
        {"event": "connected" | "subscribed" | "unsubscribed" | "disconnected",
         "session": "...", "user": "u-1", "tenant": null, "topic"?: "gift-list:1", "time": "2026-11-23T15:00:00.000Z"}]}

News, no record: what waits is bounded, and what does not fit is dropped, counted and logged. A batch that gets no
answer is sent again, so the same batch may come twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from tidings.auth.webhook_call import BackEnd, NoAnswer
from tidings.core.events import format_timestamp
from tidings.core.identity import Identity
from tidings.ports import Clock

BATCH_MAX = 100
WAITING_MAX = 10_000
GATHER_SECONDS = 0.1  # what one moment brings leaves together
RETRY_SECONDS = (1.0, 30.0)  # the first pause after a failure, and the longest, for it doubles

_log = logging.getLogger("tidings.webhook")


class SessionEvents:
    """A listener to the life of sessions (``tidings.ports.Lifecycle``). ``close`` it when the sessions are over."""

    def __init__(self, back_end: BackEnd, clock: Clock) -> None:
        self._back_end = back_end
        self._clock = clock
        self._who: dict[str, Identity] = {}
        self._topics: dict[str, set[str]] = {}  # what each session was said to follow
        self._waiting: deque[dict[str, Any]] = deque()
        self._dropped = 0  # not yet told
        self._dropped_in_all = 0
        self._sending: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def connected(self, session: str, identity: Identity) -> None:
        """Its credentials are accepted."""
        self._who[session] = identity
        self._note("connected", session)

    def subscribed(self, session: str, topic: str) -> None:
        """The topic's events reach it from now on."""
        if session in self._who and topic not in (held := self._topics.setdefault(session, set())):
            held.add(topic)
            self._note("subscribed", session, topic)

    def unsubscribed(self, session: str, topic: str) -> None:
        """It has left the topic; where it never was subscribed that is no news."""
        held = self._topics.get(session, set())
        if topic in held:
            held.remove(topic)
            self._note("unsubscribed", session, topic)

    def disconnected(self, session: str) -> None:
        """It is over."""
        self._topics.pop(session, None)
        if session in self._who:
            self._note("disconnected", session)
            del self._who[session]

    def statistics(self) -> dict[str, int]:
        """Plain counters."""
        return {"session_events_waiting": len(self._waiting), "session_events_dropped": self._dropped_in_all}

    async def close(self) -> None:
        """Send what waits, each batch tried once, and end."""
        self._closing.set()
        if self._sending is not None:
            await self._sending

    def _note(self, event: str, session: str, topic: str | None = None) -> None:
        if len(self._waiting) >= WAITING_MAX:
            if not self._dropped:
                _log.error("session events are dropped, for %d wait for the back end", WAITING_MAX)
            self._dropped += 1
            self._dropped_in_all += 1
            return
        who = self._who[session]
        fields = {"event": event, "session": session, "user": who.user, "tenant": who.tenant}
        if topic is not None:
            fields["topic"] = topic
        self._waiting.append({**fields, "time": format_timestamp(self._clock.now())})
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        """Until nothing waits. Events stay in the queue until they are answered for."""
        pause_seconds = 0.0
        try:
            while self._waiting:
                await self._pause(pause_seconds or GATHER_SECONDS)
                batch = [self._waiting[place] for place in range(min(BATCH_MAX, len(self._waiting)))]
                dropped = self._dropped
                try:
                    await self._back_end.ask({"type": "events", "dropped": dropped, "events": batch}, _taken)
                except NoAnswer as error:
                    if self._closing.is_set():
                        _log.error("%d session events were not sent: %s", len(self._waiting), error)
                        return
                    pause_seconds = min(pause_seconds * 2 or RETRY_SECONDS[0], RETRY_SECONDS[1])
                    continue
                pause_seconds = 0.0
                self._dropped -= dropped
                for _ in batch:
                    self._waiting.popleft()
        finally:
            self._sending = None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass


def _taken(status: int, _answer: Any) -> None:
    """Any 2xx will do. Raises ValueError for the rest."""
    if not 200 <= status < 300:
        raise ValueError(f"it answered HTTP {status}")
