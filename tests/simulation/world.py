"""One run: a seed draws the faults and the life of everybody; then all is healed, and must come to rest whole."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import fields, replace
from typing import Any
from unittest.mock import patch

from tests.simulation import drills, links
from tests.simulation.broker import Cluster, Planted, Troubles
from tests.simulation.client import Client
from tests.simulation.front import Front
from tests.simulation.judge import Judge, Topic, Violation
from tests.simulation.lives import lives
from tests.simulation.network import Weather
from tests.simulation.plan import CLIENTS, LADDERS, TENANTS, TOPICS, Plan, draw_plan
from tests.simulation.server import Server
from tests.simulation.ticking import run as run_world
from tidings.core.errors import BrokerUnavailable, PublishError
from tidings.core.events import Exclude

STORM_SECONDS = 40
HEAL_SECONDS = 240  # a half-open link is noticed within 70 s, a position within 20 s, a dial comes within 60 s
ANSWER_SECONDS = 30
LEAVE_SECONDS = 75  # a server learns of a half-open link within 70 s


class World:
    """Everything that happens is drawn from generators of the seed's, so a seed is a run."""

    def __init__(self, seed: int, plan: Plan, note: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.plan = plan
        self.loop = asyncio.get_running_loop()
        self.judge = Judge(self.loop.time)
        if note is not None:
            say = note
            self.judge.note = lambda text: say(f"{self.loop.time():9.3f}  {text}")
        self.weather = Weather(
            latency_seconds=plan.latency_seconds,
            half_open=plan.half_open,
            refuses=plan.refuses,
            window_bytes=plan.window_bytes,
        )
        self.troubles = replace(plan.troubles)  # a copy, for it is healed later
        self.cluster = Cluster(plan.limits, self.judge, self.dice("broker"), self.troubles)
        self.servers: list[Server] = []
        self.failures: list[BaseException] = []
        self._front_dice = self.dice("front")
        self._server_dice = self.dice("servers")
        self._numbers = itertools.count(1)
        self._keys: Counter[tuple[str, Topic]] = Counter()
        dice = self.dice("clients")
        self.clients = [
            Client(
                f"c-{number}",
                f"u-{number // 2}",
                dice.choice(TENANTS),
                dice.choice(LADDERS),
                self,
                self.dice(f"client {number}"),
            )
            for number in range(CLIENTS)
        ]

    def dice(self, name: str) -> random.Random:
        """A generator for one concern, so that a fault that is taken away changes as little as may be."""
        return random.Random(f"{self.seed}/{name}")

    def failed(self, error: BaseException) -> None:
        """Something raised that should not."""
        self.failures.append(error)

    # What clients and the application see.

    def front(self) -> Front | None:
        taking = [server for server in self.servers if server.taking]
        return self._front_dice.choice(taking).front if taking else None

    def server(self) -> Server | None:
        """A process that runs, draining or not."""
        return self._front_dice.choice(self.servers) if self.servers else None

    def marks_of_others(self, tenant: str | None) -> tuple[str, ...]:
        return tuple(f'"of-{other}"' for other in TENANTS if other != tenant)

    async def cursor(self, topic: Topic) -> str | None:
        server = self.server()
        if server is None:
            return None
        try:
            return await server.live.cursor(topic[1], tenant=topic[0])
        except (BrokerUnavailable, Planted):
            return None

    def next_number(self) -> int:
        return next(self._numbers)

    def payload(self, number: int, topic: Topic) -> dict[str, Any]:
        return {"n": number, "of": f"of-{topic[0]}"}

    async def publish(self, publisher: str, topic: Topic, *, excluded: str | None = None, tries: int = 4) -> bool:
        """The application commits a change, and tells of it, with the same key until it is answered."""
        number = self.next_number()
        self.judge.publishing(number, topic, publisher, excluded)
        self._keys[publisher, topic] += 1
        key = f"{publisher}/{self._keys[publisher, topic]}"  # the same text in every tenant: it holds for one only
        for attempt in range(tries):
            server = self.server()
            if server is not None:
                try:
                    cursor = await server.live.publish(
                        topic[1],
                        "UPDATED",
                        entity_id="e",
                        payload=self.payload(number, topic),
                        tenant=topic[0],
                        exclude=None if excluded is None else Exclude(user=excluded),
                        idempotency_key=key,
                    )
                except (BrokerUnavailable, Planted):
                    pass
                except PublishError:
                    self.judge.refused(number)
                    return False
                else:
                    self.judge.answered(number, cursor)
                    return True
            await asyncio.sleep(0.2 * 2**attempt)
        self.judge.unknown(number)
        return False

    # The run.

    async def run(self) -> Counter[str]:
        self.loop.set_exception_handler(
            lambda _, context: self.failed(context.get("exception") or RuntimeError(context["message"]))
        )
        await self.cluster.start()
        for _ in range(self.plan.nodes):
            await self.start_server()
        tasks = [asyncio.ensure_future(self._guard(life)) for life in lives(self)]
        await asyncio.sleep(STORM_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._check()
        await self._heal()
        await drills.DRILLS[self.plan.drill](self)
        await self.settle(HEAL_SECONDS)
        await self._leave()
        return self.judge.sometimes

    async def start_server(self) -> Server:
        while True:
            server = Server(self.cluster, self.plan, self.troubles, self.judge, self._server_dice, self.failed)
            try:
                await server.start()
            except (BrokerUnavailable, Planted):  # who supervises processes starts another one
                server.kill()
                await asyncio.sleep(0.5)
                continue
            self.servers.append(server)
            return server

    def lose_server(self, server: Server) -> None:
        """It is no longer one of those that anything reaches."""
        if server in self.servers:
            self.servers.remove(server)

    async def _guard(self, life: Coroutine[Any, Any, None]) -> None:
        try:
            await life
        except Exception as error:
            self.failed(error)

    def _check(self) -> None:
        for server in self.servers:
            server.check_bounds()
        for failure in self.failures:
            raise failure

    async def _heal(self) -> None:
        """From here on nothing fails any more."""
        self.judge.note("all is healed")
        calm, weather = Troubles(), self.weather
        for one in fields(calm):
            setattr(self.troubles, one.name, getattr(calm, one.name))
        weather.half_open = False
        weather.refuses = 0
        weather.blocked.clear()
        self.judge.withdrawn.clear()
        if self.cluster.fenced:
            self.cluster.fence()
        for server in [server for server in self.servers if not server.taking]:
            server.kill()
            self.lose_server(server)
        while len(self.servers) < self.plan.nodes:
            await self.start_server()
        for server in self.servers:
            server.broker.down = False
            if server.broker.deaf:
                server.broker.mend()
        for client in self.clients:
            for pipe in client.pipes():
                pipe.unstall()
            client.wake()
            await client.open(TOPICS[0])
        await self.settle(HEAL_SECONDS)

    async def settle(self, seconds_max: float) -> None:
        """Invariants 16, 10, 5 and 18: within the bound everybody is whole, and has its answers."""
        until = self.loop.time() + seconds_max
        while True:
            await asyncio.sleep(2)
            self._check()
            late = self.lagging()
            if not late:
                return
            if self.loop.time() >= until:
                raise late[0].after(f"{seconds_max:.0f} s later")
            self._push_on()

    def lagging(self) -> list[Violation]:
        """Who is not whole, or waits for an answer."""
        found = [
            lag for client in self.clients for handler in client.handlers.values() if (lag := self.judge.lag(handler))
        ]
        found += [
            Violation(16, f"{client.name} is {client.status['state']} ({client.status['reason']})")
            for client in self.clients
            if client.handlers and client.status["state"] != "live"
        ]
        found += [late for client in self.clients for tap in client.taps if (late := tap.late(ANSWER_SECONDS))]
        return found

    def _push_on(self) -> None:
        """A person who sees that a page has given up presses its button."""
        for client in self.clients:
            if client.status["state"] in ("blocked", "failed"):
                self.judge.count(f"pressed the button: {client.status['reason']}")
                client.feed({"input": "reconnect"})

    async def _leave(self) -> None:
        """Everybody goes, and nothing may be left (invariant 15)."""
        for client in self.clients:
            client.close()
        await asyncio.sleep(LEAVE_SECONDS)
        self._check()
        left = [one for server in self.servers for one in server.leftovers()]
        left += [one for client in self.clients for one in client.leftovers()]
        if left:
            raise Violation(15, f"everybody has left, and {'; '.join(left)}")
        for server in self.servers:
            server.kill()
        await asyncio.sleep(1)


class _Errors(logging.Handler):
    """What the product itself calls an error is one, unless it was planted."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
        if isinstance(inner, Planted):
            return
        self._world.failed(error or RuntimeError(record.getMessage()))


def play(seed: int, plan: Plan | None = None, note: Callable[[str], None] | None = None) -> Counter[str]:
    """Run one seed. Raises what went wrong: a Violation, or an error that nobody expected."""

    async def run() -> Counter[str]:
        world = World(seed, plan or draw_plan(seed), note)
        logger, errors = logging.getLogger("tidings"), _Errors(world)
        level = logger.level
        logger.setLevel(logging.ERROR)
        logger.addHandler(errors)
        try:
            return await world.run()
        finally:
            logger.removeHandler(errors)
            logger.setLevel(level)

    secret = random.Random(f"{seed}/secrets")
    with (
        # Names of sessions and of lives, so that a run that is played again reads the same.
        patch("secrets.token_bytes", secret.randbytes),
        patch("secrets.randbelow", secret.randrange),
        patch("tidings.brokers.memory.token_bytes", secret.randbytes),
        patch("tidings.client.transports.websocket.connect", links.connect),
        patch("tidings.client.transports.sse.HttpClient", links.Http),
        patch("tidings.client.transports.poll.HttpClient", links.Http),
    ):
        return run_world(run())
