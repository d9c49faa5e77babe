"""Publishes to every topic at a steady rate, one event after the other, each until it is answered."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from tests.faults.serve import API_KEY

ATTEMPT_SECONDS_MAX = 5
RETRY_SECONDS = 0.1


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
        due = loop.time() + first_after_seconds
        for _ in range(self.events_per_topic):
            await asyncio.sleep(max(0, due - loop.time()))
            await self._publish(http, topic)
            due += len(self.topics) / self.events_per_second

    async def _publish(self, http: httpx.AsyncClient, topic: str) -> None:
        answers = self.published[topic]
        payload = {"number": len(answers) + 1}
        event = {
            "topic": topic, "event": "UPDATED", "data": {"entity_id": "g-1", "payload": payload},
            "idempotency_key": secrets.token_hex(8),
        }  # fmt: skip
        attempts = 0
        while True:
            attempts += 1
            try:
                answer = await http.post(
                    "/realtime/publish", json=event, headers={"Authorization": f"Bearer {API_KEY}"}
                )
            except httpx.TransportError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.status_code == 200:
                answers.append(Publication(answer.json()["published"][0]["cursor"], attempts))
                return
            assert answer.status_code >= 500, f"{topic} refused: {answer.status_code} {answer.text}"
            await asyncio.sleep(RETRY_SECONDS)
