"""One run: a seed draws the weather and the life of everybody; then all is healed, and must come to rest whole."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable

from tests.simulation.actors import Client, Server
from tests.simulation.judge import Judge, Topic, Violation
from tests.simulation.network import Weather
from tidings.brokers.memory import MemoryBroker
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import draft_from
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.testing.virtual import LoopClock, run_virtual

STORM_SECONDS = 60
HEAL_SECONDS = 150  # a half-open link is noticed within 70 s, a position within 20 s, a dial comes within 30 s
TENANTS = (None, "t-1")
TOPICS = ("gift-list:1", "gift-list:2")


class World:
    """Everything that happens is drawn from one generator, so a seed is a run."""

    def __init__(self, seed: int) -> None:
        dice = self._dice = random.Random(seed)
        bad = dice.random() < 0.8
        self._weather = Weather(
            latency_seconds=dice.choice([0.001, 0.05, 0.4]),
            cuts_per_minute=dice.choice([0, 2, 10]) if bad else 0,
            stalls_per_minute=dice.choice([0, 3]) if bad else 0,
            half_open=dice.random() < 0.3,
            refuses=dice.choice([0, 0, 0.3]),
        )
        self._crashes = dice.choice([0, 0, 1, 3])
        self._wipes = dice.random() < 0.2
        self._sleeps = dice.random() < 0.4
        faults = dice.choice(
            [["pass"], ["pass"] * 9 + ["drop"], ["pass", "twice", "late"], ["drop", "pass", "late", "pass"]]
        )
        turns = [dice.randint(0, 4) for _ in range(7)]
        self._limits = Limits(
            history_events=dice.choice([5, 1_000]),
            recovery_events=dice.choice([8, 1_000]),
            page_events=dice.choice([2, 100]),
            hold_bytes=dice.choice([400, 1_048_576]),
            frames_per_second=0,
            bad_frames_per_minute=0,
        )
        self._publishes_per_second = dice.choice([0.5, 5, 20])
        self._data = _Kept(self._limits, LoopClock(), new_epoch=_epochs())
        self._server = Server(self._data, self._limits, turns, faults)
        self.judge = Judge()
        self._clients = [
            Client(f"c-{number}", dice.choice(TENANTS), self._server, self.judge, dice, self._weather)
            for number in range(4)
        ]
        self._numbers = itertools.count(1)

    async def run(self) -> Counter[str]:
        failures: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context.get("exception") or RuntimeError(context["message"]))
        )
        await self._server.start()
        lives = [self._publish(), self._crash(), self._cut(), *map(self._live, self._clients)]
        tasks = [asyncio.ensure_future(life) for life in lives]
        await asyncio.sleep(STORM_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._heal()
        if failures:
            raise failures[0]
        for client in self._clients:
            for topic in client.following:
                head = await self._data.head(TopicKey(client.tenant, topic))
                self.judge.ends(client.name, (client.tenant, topic), str(head))
        for client in self._clients:
            client.stop()
        await self._server.crash()
        return self.judge.sometimes

    async def _heal(self) -> None:
        self._weather.cuts_per_minute = self._weather.stalls_per_minute = self._weather.refuses = 0
        self._weather.half_open = False
        if self._server.node is None:
            await self._server.start()
        assert self._server.broker is not None
        self._server.broker.down = False
        for client in self._clients:
            client.wake()
            await client.follow(self._dice.choice(TOPICS))
        await asyncio.sleep(HEAL_SECONDS)

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(self._dice.expovariate(self._publishes_per_second))
            node = self._server.node
            if node is None:
                continue
            topic: Topic = (self._dice.choice(TENANTS), self._dice.choice(TOPICS))
            number = next(self._numbers)
            event = {"topic": topic[1], "event": "UPDATED", "data": {"entity_id": "e", "payload": number}}
            try:
                stored = await node.publisher.publish(draft_from(event), tenant=topic[0])
            except BrokerUnavailable:
                continue
            self.judge.stored(topic, str(stored.cursor), number)

    async def _crash(self) -> None:
        for _ in range(self._crashes):
            await asyncio.sleep(self._dice.uniform(1, STORM_SECONDS / 2))
            self.judge.sometimes["crashed"] += 1
            await self._server.crash()
            if self._wipes:
                self._data.wipe()
            await asyncio.sleep(self._dice.uniform(0, 5))
            await self._server.start()

    async def _cut(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(0.5, 3))
            for client in self._clients:
                wire = client.wire
                if wire is None:
                    continue
                if self._dice.random() < self._weather.cuts_per_minute / 60:
                    self.judge.sometimes["cut"] += 1
                    wire.cut()
                elif self._dice.random() < self._weather.stalls_per_minute / 60:
                    wire.stall(self._dice.uniform(1, 20))

    async def _live(self, client: Client) -> None:
        """A person at a page: opens and leaves lists, closes the lid."""
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / 4))
            topic = self._dice.choice(TOPICS)
            if self._sleeps and self._dice.random() < 0.1:
                client.sleep()
                await asyncio.sleep(self._dice.uniform(1, 40))
                client.wake()
            elif topic in client.following:
                client.unfollow(topic)
            else:
                await client.follow(topic)


class _Kept(MemoryBroker):
    """Its data outlives its server, until it is wiped."""

    async def close(self) -> None:
        self._receiver = None
        self._joined.clear()

    def wipe(self) -> None:
        self._topics.clear()


def _epochs() -> Callable[[], str]:
    counter = itertools.count(1)
    return lambda: f"e{next(counter)}"


def play(seed: int) -> Counter[str]:
    """Run one seed. Raises Violation, naming the command that plays it again."""

    async def run() -> Counter[str]:
        return await World(seed).run()

    try:
        return run_virtual(run())
    except Violation as violation:
        raise Violation(f"{violation}\nplay it again: python -m tests.simulation {seed}") from None
