"""Publishes to every topic at a steady rate; what is due goes out together, and again until it is answered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.faults.serve import API_KEY

ATTEMPT_SECONDS_MAX = 5
RETRY_SECONDS = 0.1
TOGETHER_MAX = 20


@dataclass(frozen=True)
class Publication:
    """What the server answered for one event.

    :ivar attempts: 1 where the first was answered; else an earlier one may have been stored too.
    """

    cursor: str
    attempts: int


@dataclass
class Publisher:
    """Events numbered 1, 2, 3 in each topic; ``published[topic][number - 1]`` is the answer for each."""

    url: str
    topics: Sequence[str]
    events_per_second: float
    """In all topics together; after an outage what was due is published at once."""
    events_per_topic: int
    published: dict[str, list[Publication]] = field(default_factory=dict)

    async def run(self) -> None:
        """Publish all. Raises AssertionError for one that is refused."""
        self.published = {topic: [] for topic in self.topics}
        limits = httpx.Limits(max_connections=len(self.topics), max_keepalive_connections=len(self.topics))
        async with httpx.AsyncClient(base_url=self.url, timeout=ATTEMPT_SECONDS_MAX, limits=limits) as http:
            async with asyncio.TaskGroup() as group:
                for index, topic in enumerate(self.topics):
                    group.create_task(self._follow(http, topic, index / self.events_per_second))

    async def close(self) -> None:
        """One more event in each topic, for all to see."""
        async with httpx.AsyncClient(base_url=self.url, timeout=ATTEMPT_SECONDS_MAX) as http:
            for topic in self.topics:
                await self._publish(http, topic)

    @property
    def tops(self) -> dict[str, str]:
        """The cursor of the last event that was answered, by topic."""
        return {topic: answers[-1].cursor for topic, answers in self.published.items() if answers}

    @property
    def count(self) -> int:
        return sum(map(len, self.published.values()))

    async def _follow(self, http: httpx.AsyncClient, topic: str, first_after_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + first_after_seconds
        each_seconds = len(self.topics) / self.events_per_second
        while (done := len(self.published[topic])) < self.events_per_topic:
            await asyncio.sleep(max(0, begin + done * each_seconds - loop.time()))
            due = int((loop.time() - begin) / each_seconds) + 1 - done
            await self._publish(http, topic, min(max(1, due), self.events_per_topic - done, TOGETHER_MAX))

    async def _publish(self, http: httpx.AsyncClient, topic: str, count: int = 1) -> None:
        answers = self.published[topic]
        first = len(answers) + 1
        events = [_event(topic, number) for number in range(first, first + count)]
        attempts = 0
        while True:
            attempts += 1
            try:
                answer = await http.post(
                    "/realtime/publish", json=events, headers={"Authorization": f"Bearer {API_KEY}"}
                )
            except httpx.TransportError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.status_code == 200:
                published = answer.json()["published"]
                assert [one["topic"] for one in published] == [topic] * count, published
                answers += [Publication(one["cursor"], attempts) for one in published]
                return
            assert answer.status_code >= 500, f"{topic} refused: {answer.status_code} {answer.text}"
            await asyncio.sleep(RETRY_SECONDS)


def _event(topic: str, number: int) -> dict[str, object]:
    return {
        "topic": topic, "event": "UPDATED", "data": {"entity_id": "g-1", "payload": {"number": number}},
        "idempotency_key": secrets.token_hex(8),
    }  # fmt: skip
