"""A proxy between clients and a server whose network can be made bad, and good again, while it runs.

    async with fault_proxy(server_port) as proxy:
        client = connect(f"{proxy.http}/realtime")                # or proxy.port, proxy.websocket
        proxy.set(latency_seconds=0.2)                            # for every path
        proxy.set("/realtime/ws", stall="both")                   # for one path and those below it
        proxy.block("/realtime/ws")                               # one transport: 403 from now on, open ones cut
        proxy.cut("/realtime/sse", how="rst")                     # those that are open now
        proxy.heal()                                              # nothing is wrong any more
        proxy.heal("/realtime/ws")                                # ... on this path
        await proxy.until(lambda: proxy.requests["/realtime/sse"] == 1)

What can be wrong stands in ``Conditions``, field by field: ``set`` takes these fields, and keeps those not named.
The conditions of the longest prefix that fits a request's path hold, alone; a prefix that nothing was set for
begins with what holds for it then. ``set`` and ``heal`` take effect at once, on open connections too, except for the
fields that say what a request meets. The rest of the faults are calls: ``cut`` and ``block``, and the attributes
``upstream_port`` (another server from now on) and ``accepting`` (False: new connections are reset).

The recipes:

    stall, either or both ways      set(stall="down" | "up" | "both")
    half-open, no FIN               set(drop="both"), or cut(how="silent") for those that are open now
    cut in the midst of a frame     set(cut_after_bytes=10)
    reset, with SO_LINGER 0         cut(how="rst"), set(reset=True) for requests
    NAT that forgets; its lifetime  set(idle_seconds=30), set(lifetime_seconds=30, cut_how="rst")
    a reply that gets lost          set("/realtime/publish", eat_replies=True), counted in ``eaten``
    WebSocket refused, or stripped  set(refuse_upgrade=403), set(strip_upgrade=True)
    captive portal                  set(answer=200)
    streams kept back               set("/realtime/sse", hold_bytes=math.inf)
    a load balancer's 502           set(answer_when_down=502)

Requests on a kept-alive connection are told apart, and each is judged by its own path. What is set for one path holds
once a request has named it: the request itself is not slowed, but it is stalled, dropped, answered or reset. With
``http=False`` bytes are not looked at, and every path is "".
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.faults.conditions import Conditions, Direction, End
from tests.faults.link import Link

__all__ = ["Conditions", "Direction", "End", "FaultProxy", "Link", "fault_proxy"]

TICK_SECONDS = 0.02  # how exactly idle and lifetime cuts come
UNTIL_SECONDS_MAX = 10
LOOK_EVERY_SECONDS = 0.01


class FaultProxy:
    """See the module's own words. All calls are made in the loop that it runs in."""

    def __init__(self, upstream_port: int, *, http: bool = True) -> None:
        self.upstream_port = upstream_port
        self.accepting = True
        self.port = 0
        self.accepted = 0
        """Connections so far."""
        self.requests: Counter[str] = Counter()
        """By path, whatever became of them."""
        self.eaten: Counter[str] = Counter()
        """Replies that were swallowed, by path."""
        self._is_http = http
        self._links: dict[Link, None] = {}
        self._conditions: dict[str, Conditions] = {"": Conditions()}
        self._found: dict[str, Conditions] = {}  # by a request's path, for it is asked at each chunk
        self._ticking: asyncio.TimerHandle | None = None

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/realtime/ws"

    # What may be done to it.

    def set(self, path: str = "", **fields: Any) -> None:
        """Change conditions of this path and those below it; "" is every path that has none of its own.

        :param fields: of ``Conditions``; the others stay.
        """
        self._change(path, replace(self.conditions(path), **fields))

    def heal(self, path: str | None = None) -> None:
        """Nothing is wrong with this path, or, without one, with any."""
        for one in list(self._conditions) if path is None else [path]:
            self._change(one, Conditions())
        self.accepting = self.accepting or path is None

    def block(self, *paths: str, answer: int = 403) -> None:
        """Answer every request of these paths with this status, and cut those that are open."""
        for path in paths:
            self.set(path, answer=answer)
            self.cut(path)

    def cut(self, path: str = "", *, how: End = "fin", share: float = 1, chance: random.Random | None = None) -> int:
        """End open connections of this path and those below it; how many there were.

        :param share: of them, 0..1, each drawn by ``chance``.
        """
        drawn = [link for link in self.links(path) if chance is None or chance.random() < share]
        for link in drawn:
            link.cut(how)
        return len(drawn)

    def links(self, path: str = "") -> list[Link]:
        """The connections that are open now, whose last request was for this path or one below it."""
        return [link for link in self._links if _below(link.path, path)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it is true. Raises TimeoutError after 10 s."""
        async with asyncio.timeout(UNTIL_SECONDS_MAX):
            while not condition():
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    # What its connections ask of it.

    def conditions(self, path: str) -> Conditions:
        """What holds for a request of this path."""
        found = self._found.get(path)
        if found is None:
            fitting = [prefix for prefix in self._conditions if _below(path, prefix)]
            found = self._found[path] = self._conditions[max(fitting, key=len)]
        return found

    def requested(self, path: str) -> None:
        self.requests[path] += 1

    def ate(self, path: str) -> None:
        self.eaten[path] += 1

    def opened(self, link: Link) -> None:
        self.accepted += 1
        self._links[link] = None
        if not self.accepting:
            link.cut("rst")

    def closed(self, link: Link) -> None:
        self._links.pop(link, None)

    def _change(self, path: str, conditions: Conditions) -> None:
        before = {link: self.conditions(link.path) for link in self._links}
        self._conditions[path] = conditions
        self._found.clear()
        for link, old in before.items():
            new = self.conditions(link.path)
            if new != old:
                link.changed(old, new)
        if self._ticking is None and _has_clock(self._conditions.values()):
            self._tick()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        for link in list(self._links):
            link.tick(loop.time())
        again = _has_clock(self._conditions.values())
        self._ticking = loop.call_later(TICK_SECONDS, self._tick) if again else None

    def _link(self) -> asyncio.BaseProtocol:
        return Link(self, http=self._is_http).client

    async def _end(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        for link in list(self._links):
            link.cut("rst")
        await self.until(lambda: not self._links)


@asynccontextmanager
async def fault_proxy(upstream_port: int, *, port: int = 0, http: bool = True) -> AsyncIterator[FaultProxy]:
    """A proxy on a port of its own before the server on 127.0.0.1 at this port; ended with all its connections.

    :param port: to listen on; 0 takes a free one.
    :param http: False passes bytes on unseen, for other protocols than HTTP.
    """
    proxy = FaultProxy(upstream_port, http=http)
    listener = await asyncio.get_running_loop().create_server(proxy._link, "127.0.0.1", port, backlog=2_048)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy._end()


def _below(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(prefix.rstrip("/") + "/")


def _has_clock(all_conditions: Iterable[Conditions]) -> bool:
    return any(one.idle_seconds is not None or one.lifetime_seconds is not None for one in all_conditions)
