"""How the checks of brokers get a broker, and what they see of its live messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.ports import Broker

LIVE_SECONDS_MAX = 5.0  # how long a live message may take before a check fails


class Recorder:
    """A receiver that keeps what it is told, and can be waited for."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.interruptions = 0
        self._told = asyncio.Event()

    def received(self, publication: Publication) -> None:
        """Keep a live message."""
        self.publications.append(publication)
        self._told.set()

    def interrupted(self) -> None:
        """Count it."""
        self.interruptions += 1

    def bodies(self, key: TopicKey) -> list[bytes]:
        """What came for one key, repeats left out, in the order of coming."""
        first: dict[Cursor, bytes] = {}
        for publication in self.publications:
            if publication.key == key:
                first.setdefault(publication.cursor, publication.body)
        return list(first.values())

    async def until(self, body: bytes, key: TopicKey) -> None:
        """Wait for a body of a key. Raises AssertionError when it has not come in time."""
        try:
            async with asyncio.timeout(LIVE_SECONDS_MAX):
                while body not in self.bodies(key):
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            raise AssertionError(f"{body!r} of {key} did not come within {LIVE_SECONDS_MAX} seconds") from None


@dataclass(frozen=True)
class BrokerMaker:
    """How the suite gets brokers.

    :param make: gives a broker that is not started, with data of its own at each call.
    :param advance: lets seconds pass for the broker, where a test can; else the checks of age pass unrun.
    """

    make: Callable[[Limits], Broker]
    advance: Callable[[float], None] | None = None

    @asynccontextmanager
    async def started(self, limits: Limits | None = None) -> AsyncIterator[tuple[Broker, Recorder]]:
        """A started broker and what it tells; closed at the end."""
        broker, recorder = self.make(limits or Limits()), Recorder()
        await broker.start(recorder)
        try:
            yield broker, recorder
        finally:
            await broker.close()
