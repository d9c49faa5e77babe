"""A few real clients in both languages, and the count of what they saw: what a test of one failure needs."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.faults.fleet.checker import Checker, Verdict
from tests.faults.fleet.crew import Crew, Progress, Spec, hurry, progress_of
from tests.faults.fleet.publisher import Publication
from tests.faults.proxy import FaultProxy
from tests.faults.serve import API_KEY, token
from tests.servers import Address

TOPIC = "gift-list:1"
WEBSOCKET, SSE, POLL = ("websocket",), ("sse",), ("poll",)
EACH = (WEBSOCKET, SSE, POLL)
LADDER = ("websocket", "sse", "poll")
WITHIN_SECONDS = 20  # on a busy machine
LOOK_EVERY_SECONDS = 0.05


class Watch:
    """Clients of one topic, whose events are numbered.

    :ivar published: what the server answered, in order.
    """

    def __init__(self, crews: Sequence[Crew]) -> None:
        self._crews = crews
        self.count = sum(len(crew.specs) for crew in crews)
        self.published: list[Publication] = []

    async def progress(self) -> Progress:
        """How they stand now; behind are those that have not seen the last event."""
        tops = {TOPIC: self.published[-1].cursor} if self.published else {}
        return await progress_of(self._crews, tops)

    async def ready(self, *, within_seconds: float = WITHIN_SECONDS) -> Progress:
        """Wait until all are live. Raises AssertionError at the deadline."""
        return await self._reached("live", within_seconds)

    async def whole(self, *, within_seconds: float = WITHIN_SECONDS) -> Progress:
        """Wait until all are at the top. Raises AssertionError at the deadline."""
        return await self._reached("top", within_seconds)

    async def down(self, *, within_seconds: float = WITHIN_SECONDS) -> Progress:
        """Wait until none is live. Raises AssertionError at the deadline."""
        return await self._reached("down", within_seconds)

    async def carried_by(self, transport: str, *, within_seconds: float = WITHIN_SECONDS) -> Progress:
        """Wait until that carries the events of all. Raises AssertionError at the deadline."""
        return await self._reached(transport, within_seconds)

    async def hurry(self) -> None:
        """Nobody waits for the end of a pause."""
        await hurry(self._crews)

    async def publish(self, url: str, count: int = 1) -> None:
        """Publish the next numbers, each answered before the next."""
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with httpx.AsyncClient(base_url=url, timeout=WITHIN_SECONDS, headers=headers) as http:
            for _ in range(count):
                data = {"entity_id": "g-1", "payload": {"number": len(self.published) + 1}}
                answer = await http.post("/realtime/publish", json={"topic": TOPIC, "event": "UPDATED", "data": data})
                assert answer.status_code == 200, answer.text
                self.published.append(Publication(answer.json()["published"][0]["cursor"], attempts=1))

    async def judged(self) -> Verdict:
        """End the clients, and count."""
        checker = Checker({TOPIC: self.published})
        for crew in self._crews:
            await crew.stop()
            for spec in crew.specs:
                checker.expect(spec.id, spec.topics)
            with crew.log.open() as lines:
                checker.read(lines)
        return checker.finish()

    async def check_whole(self, *, within_seconds: float = WITHIN_SECONDS) -> None:
        """Each saw each event once and in order, and was told of no gap. Raises AssertionError."""
        await self.whole(within_seconds=within_seconds)
        assert await self.judged() == Verdict(delivered=self.count * len(self.published))

    async def _reached(self, what: str, within_seconds: float) -> Progress:
        deadline = time.monotonic() + within_seconds
        while True:
            now = await self.progress()
            if self._holds(what, now):
                return now
            assert time.monotonic() < deadline, f"not {what} within {within_seconds} s: {now}"
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _holds(self, what: str, now: Progress) -> bool:
        if what == "live":
            return now.ready == self.count
        if what == "down":
            return now.ready == 0 and not set(now.transports) & {"websocket", "sse", "poll"}
        if what == "top":
            return now.behind == 0
        return now.transports == Counter({what: self.count})


@asynccontextmanager
async def watching(
    place: FaultProxy | Address, folder: Path, *, ladders: Sequence[tuple[str, ...]] = EACH, wait: bool = True
) -> AsyncIterator[Watch]:
    """One client of each language for each ladder, live; always ended.

    :param wait: False returns before they are live.
    """
    specs = [Spec(f"{'-'.join(ladder)}-{index}", ladder, (TOPIC,), "") for index, ladder in enumerate(ladders)]
    crews = [
        Crew.typescript(_named(specs, "typescript"), f"{place.http}/realtime", folder),
        Crew.python(_named(specs, "python"), place.http, folder),
    ]
    try:
        for crew in crews:
            await crew.start()
        watch = Watch(crews)
        if wait:
            await watch.ready()
        yield watch
    finally:
        for crew in crews:
            await crew.kill()


def _named(specs: Sequence[Spec], language: str) -> list[Spec]:
    return [
        Spec(f"{language}-{spec.id}", spec.transports, spec.topics, token(f"{language}-{spec.id}")) for spec in specs
    ]
