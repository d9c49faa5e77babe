"""What the fleet goes through: kills and drains of the server, and a network that fails at random."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.browser.processes import free_port
from tests.faults.proxy import End, FaultProxy
from tests.faults.serve import Server, drain

GUST_SECONDS = 0.3  # from one fault of the network to the next
DRAIN_SLACK_SECONDS = 10  # beyond the window, on a busy machine
PATHS = ("/realtime/ws", "/realtime/sse", "/realtime/poll")
PUBLISH = "/realtime/publish"


class Storm:
    """Does both at once, as its seed says.

    :ivar done: what was done, by name.
    :ivar drain_seconds: how long each drained process took to end.
    """

    def __init__(
        self, server: Server, proxy: FaultProxy, *, seed: int, window_seconds: float, rolling: bool, silent: bool
    ) -> None:
        """Nothing happens yet.

        :param rolling: a drained process has its successor beside it, as processes with a shared broker may.
        :param silent: also lose connections without a word, which the clients notice after 35 s.
        """
        self._server = server
        self._proxy = proxy
        self._window_seconds = window_seconds
        self._rolling = rolling
        self._network = random.Random(f"{seed} network")
        self._process = random.Random(f"{seed} process")
        self._endings: list[asyncio.Task[float]] = []
        self.done: Counter[str] = Counter()
        self.drain_seconds: list[float] = []
        self._gusts: list[Callable[[], float]] = [self._cut, self._cut, self._cut, self._midst, self._weather]
        self._gusts += [self._eat, self._refuse, self._hold]
        if silent:
            self._gusts.append(self._lose)

    async def blow(self, seconds: float, *, kills: int, drains: int) -> None:
        """All of it, spread over so long; returns when every process that was drained has ended."""
        weather = asyncio.create_task(self._blow())
        try:
            await self._restart(seconds, ["kill"] * kills + ["drain"] * drains)
            self.drain_seconds = await asyncio.gather(*self._endings)
        finally:
            weather.cancel()
            self._proxy.heal()
            await asyncio.gather(weather, *self._endings, return_exceptions=True)

    async def _restart(self, seconds: float, names: list[str]) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self._process.shuffle(names)
        # Not evenly: some come in a row, and between others there is time to be live again.
        moments = sorted(self._process.random() * seconds * 0.9 for _ in names)
        for moment, name in zip(moments, names, strict=True):
            await asyncio.sleep(max(0, begin + moment - loop.time()))
            await (self._kill() if name == "kill" else self._drain())
            self.done[name] += 1
        await asyncio.sleep(max(0, begin + seconds - loop.time()))

    async def _kill(self) -> None:
        await self._server.kill()
        await self._server.start()

    async def _drain(self) -> None:
        old, within_seconds = self._server.take(), self._window_seconds + DRAIN_SLACK_SECONDS
        ending = drain(old, within_seconds=within_seconds)
        if self._rolling:
            await self._server.start(port=free_port())
            self._proxy.upstream_port = self._server.port
            self._endings.append(asyncio.create_task(ending))
        else:
            self._endings.append(asyncio.create_task(ending))
            await asyncio.wait(self._endings)
            await self._server.start()

    async def _blow(self) -> None:
        while True:
            gust = self._network.choice(self._gusts)
            self.done[gust.__name__.strip("_")] += 1
            await asyncio.sleep(gust())
            self._proxy.heal()
            self._proxy.set(answer_when_down=self._network.choice([None, 502]))
            await asyncio.sleep(GUST_SECONDS)

    # Each returns how many seconds it lasts.

    def _cut(self) -> float:
        how: End = self._network.choice(["fin", "rst"])
        self.done["connections cut"] += self._proxy.cut(how=how, share=0.03, chance=self._network)
        return 0

    def _lose(self) -> float:
        self.done["connections lost"] += self._proxy.cut(how="silent", share=0.005, chance=self._network)
        return 0

    def _midst(self) -> float:
        self._proxy.set(self._network.choice(PATHS), cut_after_bytes=self._network.randrange(1, 400))
        return 0.05

    def _weather(self) -> float:
        weathers: list[dict[str, Any]] = [{"latency_seconds": 0.1}, {"stall": "both"}, {"stall": "down"}]
        self._proxy.set(**self._network.choice(weathers))
        return 0.5

    def _eat(self) -> float:
        self._proxy.set(PUBLISH, eat_replies=True)
        return 0.2

    def _refuse(self) -> float:
        self._proxy.set(self._network.choice(PATHS), answer=self._network.choice([200, 403, 502]))
        return 0.5

    def _hold(self) -> float:
        self._proxy.set("/realtime/sse", hold_bytes=math.inf)
        return 0.5
