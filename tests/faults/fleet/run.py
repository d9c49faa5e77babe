"""One run of the fleet: a server, a proxy, clients, a publisher, a storm, and the count at the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Literal

from tests.browser.processes import free_port
from tests.faults.fleet.checker import Checker, Verdict
from tests.faults.fleet.clients import CHOOSES_TRANSPORTS
from tests.faults.fleet.crew import Crew, Progress, Spec, hurry, progress_of
from tests.faults.fleet.publisher import Publisher
from tests.faults.fleet.storm import DRAIN_SLACK_SECONDS, Storm
from tests.faults.proxy import FaultProxy, fault_proxy
from tests.faults.serve import Server, drain, server, token

READY_SECONDS_MAX = 60
LOOK_EVERY_SECONDS = 0.25
SAY_EVERY_SECONDS = 10
DIALS = ("/realtime/ws", "/realtime/sse")
LADDER = ("websocket", "sse", "poll")


@dataclass(frozen=True)
class Plan:
    """What a run is made of."""

    broker: Literal["memory", "sqlite"]
    clients: int
    seconds: float
    kills: int
    drains: int
    window_seconds: float = 5
    topics: int = 20
    topics_per_client: int = 2
    events_per_second: float = 100
    python_every: int = 8
    """Every so manieth client is one of Python; 0 for none."""
    ladder_every: int = 5
    """Every so manieth client may fall back and climb; the others have one transport each. 0 for none."""
    silent: bool = True
    hurry: bool = False
    """Once all is well again nobody waits for the end of a pause."""
    settle_seconds_max: float = 90
    """A silent loss is noticed after 35 s, and a busy machine takes its time."""
    seed: int = 1

    def specs(self) -> tuple[list[Spec], list[Spec]]:
        """Clients of TypeScript and of Python: a third on each transport."""
        typescript: list[Spec] = []
        python: list[Spec] = []
        for index in range(self.clients):
            is_python = self.python_every and index % self.python_every == self.python_every - 1
            is_ladder = self.ladder_every and index % self.ladder_every == self.ladder_every - 1
            first = LADDER[index % 3]
            if is_python and not CHOOSES_TRANSPORTS:
                first, is_ladder = "websocket", False
            ladder = LADDER[LADDER.index(first) :] if is_ladder else (first,)
            topics = islice(cycle(self.names), index % self.topics, index % self.topics + self.topics_per_client)
            spec = Spec(f"c{index}", ladder, tuple(topics), token(f"u-{index}"))
            (python if is_python else typescript).append(spec)
        return typescript, python

    def publisher(self, url: str) -> Publisher:
        """Publishes for so long as the run lasts."""
        events = self.events_per_second * self.seconds
        return Publisher(url, self.names, self.events_per_second, max(1, round(events / self.topics)))

    @property
    def names(self) -> list[str]:
        return [f"gift-list:{index}" for index in range(self.topics)]


@dataclass
class Report:
    """What came of it; ``line`` is all of it in one line of JSON."""

    plan: Plan
    verdict: Verdict
    storm: Counter[str]
    drain_seconds: list[float]
    publishes: int
    publish_repeats: int
    replies_eaten: int
    settle_seconds: float
    transports: Counter[str] = field(default_factory=Counter)
    complaints: Counter[str] = field(default_factory=Counter)
    """Of the clients, by code."""

    @property
    def line(self) -> str:
        return json.dumps(self, default=lambda value: dict(vars(value)))


@dataclass
class DrainReport:
    """What came of one drain."""

    plan: Plan
    verdict: Verdict
    took_seconds: float
    """From the signal to the end of the process."""
    publishes: int
    dials_by_second: list[int]
    """Of WebSockets and streams, since the signal."""

    @property
    def line(self) -> str:
        return json.dumps(self, default=lambda value: dict(vars(value)))


Say = Callable[[str], None]


@asynccontextmanager
async def fleet(plan: Plan, folder: Path) -> AsyncIterator[tuple[Server, FaultProxy, list[Crew]]]:
    """A server, the proxy before it, and all clients live; all of it is ended."""
    broker = "memory" if plan.broker == "memory" else f"sqlite:///{folder}/events.sqlite3"
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(server(folder, broker=broker, drain_seconds=str(plan.window_seconds)))
        proxy = await stack.enter_async_context(fault_proxy(one.port))
        typescript, python = plan.specs()
        crews = [Crew.typescript(typescript, f"{proxy.http}/realtime", folder)]
        if python:
            crews.append(Crew.python(python, proxy.http, folder))
        for crew in crews:
            stack.push_async_callback(crew.kill)
            await crew.start()
        await ready(plan, crews)
        yield one, proxy, crews


async def ready(plan: Plan, crews: Sequence[Crew], *, within_seconds: float = READY_SECONDS_MAX) -> Progress:
    """Wait until every client is live in each of its topics. Raises AssertionError at the deadline."""
    return await _reached(crews, {}, lambda now: now.ready == plan.clients, within_seconds)


async def caught_up(crews: Sequence[Crew], tops: dict[str, str], *, within_seconds: float) -> Progress:
    """Wait until every client stands at these cursors in its topics. Raises AssertionError at the deadline."""
    return await _reached(crews, tops, lambda now: now.behind == 0, within_seconds)


async def _reached(
    crews: Sequence[Crew], tops: dict[str, str], holds: Callable[[Progress], bool], within_seconds: float
) -> Progress:
    deadline = time.monotonic() + within_seconds
    while not holds(now := await progress_of(crews, tops)):
        assert time.monotonic() < deadline, f"not within {within_seconds} s: {now}"
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return now


async def run(plan: Plan, folder: Path, say: Say = print) -> Report:
    """Do it, and count. Raises AssertionError where the fleet does not come to rest."""
    async with fleet(plan, folder) as (one, proxy, crews):
        say(f"{plan.clients} clients are live")
        publisher = plan.publisher(proxy.http)
        storm = Storm(
            one, proxy, seed=plan.seed, window_seconds=plan.window_seconds,
            rolling=plan.broker != "memory", silent=plan.silent,
        )  # fmt: skip
        publishing = asyncio.create_task(publisher.run())
        saying = asyncio.create_task(_keep_saying(say, crews, publisher, storm))
        try:
            await storm.blow(plan.seconds, kills=plan.kills, drains=plan.drains)
            await asyncio.wait_for(publishing, plan.settle_seconds_max)
        finally:
            saying.cancel()
            publishing.cancel()
            await asyncio.gather(saying, publishing, return_exceptions=True)
        begin = time.monotonic()
        if plan.hurry:
            await hurry(crews)
        await ready(plan, crews, within_seconds=plan.settle_seconds_max)
        await publisher.close()
        last = await caught_up(crews, publisher.tops, within_seconds=plan.settle_seconds_max)
        settle_seconds = round(time.monotonic() - begin, 1)
        for crew in crews:
            await crew.stop()
        attempts = [answer.attempts for answers in publisher.published.values() for answer in answers]
        return Report(
            plan, judge(publisher, crews), storm.done, [round(seconds, 1) for seconds in storm.drain_seconds],
            len(attempts), sum(attempts) - len(attempts), proxy.eaten.total(), settle_seconds,
            last.transports, last.complaints,
        )  # fmt: skip


async def run_drain(plan: Plan, folder: Path) -> DrainReport:
    """One rolling deploy under load, and nothing else. Raises AssertionError where not all come back.

    The plan's ``seconds`` must be longer than its window.
    """
    async with fleet(plan, folder) as (one, proxy, crews):
        publisher = plan.publisher(proxy.http)
        publishing = asyncio.create_task(publisher.run())
        dials: list[int] = []
        watching = asyncio.create_task(_watch_dials(proxy, dials))
        try:
            old, within_seconds = one.take(), plan.window_seconds + DRAIN_SLACK_SECONDS
            await one.start(port=free_port())
            proxy.upstream_port = one.port
            dials[:] = [_dials(proxy)]
            took_seconds = await drain(old, within_seconds=within_seconds)
            watching.cancel()
            dials.append(_dials(proxy))
            await ready(plan, crews)
            await asyncio.wait_for(publishing, plan.settle_seconds_max)
        finally:
            watching.cancel()
            publishing.cancel()
            await asyncio.gather(watching, publishing, return_exceptions=True)
        await caught_up(crews, publisher.tops, within_seconds=plan.settle_seconds_max)
        for crew in crews:
            await crew.stop()
        each = [after - before for before, after in pairwise(dials)]
        return DrainReport(plan, judge(publisher, crews), round(took_seconds, 1), publisher.count, each)


async def _watch_dials(proxy: FaultProxy, dials: list[int]) -> None:
    """Note each second how many there have been."""
    while True:
        dials.append(_dials(proxy))
        await asyncio.sleep(1)


def _dials(proxy: FaultProxy) -> int:
    return sum(proxy.requests[path] for path in DIALS)


async def _keep_saying(say: Say, crews: Sequence[Crew], publisher: Publisher, storm: Storm) -> None:
    begin = time.monotonic()
    while True:
        await asyncio.sleep(SAY_EVERY_SECONDS)
        now = await progress_of(crews, publisher.tops)
        published = publisher.count
        say(
            f"{time.monotonic() - begin:.0f} s: {published} published; {now.ready} clients live, "
            f"{now.behind} topics behind; {dict(now.transports)}; {dict(storm.done)}"
        )


def judge(publisher: Publisher, crews: Sequence[Crew]) -> Verdict:
    """Hold what the clients saw against what was published."""
    checker = Checker(publisher.published)
    for crew in crews:
        for spec in crew.specs:
            checker.expect(spec.id, spec.topics)
        with crew.log.open() as lines:
            checker.read(lines)
    return checker.finish()
