"""After the storm, one fault alone in a quiet world, with a bound on what it may cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.simulation.judge import Topic, Violation

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.world import World

QUIET_SECONDS = 60  # twice the time between two looks at a position, a page of polls, a renewal
INTERRUPTED_SECONDS = 5
LATE_SECONDS = 6.0
HERD_CLIENTS = 4


async def _quiet(world: World) -> None:
    """F13: the last live message is lost, and nothing follows it. The position check must find it."""
    world.judge.count("drill: quiet loss")
    for server in world.servers:
        server.broker.drop_next = 1
    began = world.loop.time()
    await world.publish("drill", _topic(world))
    await asyncio.sleep(QUIET_SECONDS)
    for lag in _lags(world, began):
        raise lag.after(f"the last live message was lost {QUIET_SECONDS} s ago")
    for server in world.servers:
        server.broker.drop_next = 0


async def _interrupted(world: World) -> None:
    """F11: the broker's connection broke in silence, and is back: what it missed is read at once."""
    world.judge.count("drill: interrupted")
    world.weather.latency_seconds = min(world.weather.latency_seconds, 0.05)
    await asyncio.sleep(2)
    began = world.loop.time()
    for server in world.servers:
        server.broker.deaf = True
    await world.publish("drill", _topic(world))
    for server in world.servers:
        server.broker.mend()
    await asyncio.sleep(INTERRUPTED_SECONDS)
    for lag in _lags(world, began):
        raise lag.after(f"the broker's connection is back for {INTERRUPTED_SECONDS} s")


async def _slow(world: World) -> None:
    """F43: one reader stops reading; the others' events come as ever, and in the end it has them all."""
    world.judge.count("drill: slow reader")
    world.weather.latency_seconds = 0.001
    topic = _topic(world)
    slow = next((one for one in world.clients if one.tenant == topic[0] and one.on(topic[1])), None)
    if slow is None:
        return
    began, world.weather.window_bytes = world.loop.time(), 1_000
    for pipe in slow.pipes():
        pipe.stall(20, down_only=True)
    for _ in range(30):
        await world.publish("drill", topic)
    await asyncio.sleep(LATE_SECONDS)
    for server in world.servers:
        server.check_bounds()
    for lag in _lags(world, began, but=slow):
        raise Violation(17, f"{slow.name} does not read, and {LATE_SECONDS} s later {lag.text}")
    await asyncio.sleep(20)


async def _herd(world: World) -> None:
    """F41: all lose their connection in the same moment, and must not come back in the same moment."""
    world.judge.count("drill: herd")
    # Nobody answers for a while, so that every client waits out pauses of its own.
    world.weather.blocked.update(dict.fromkeys(("websocket", "sse", "poll"), "refused"))
    began = world.loop.time()
    for client in world.clients:
        for pipe in client.pipes():
            pipe.cut()
    await asyncio.sleep(20)
    world.weather.blocked.clear()
    pauses = []
    for client in world.clients:
        dials = [at for at in client.dialled_at if at > began]
        pauses += [round(later - sooner, 3) for sooner, later in pairwise(dials)]
    waits = [pause for pause in pauses if pause >= 0.5]
    if len(waits) >= HERD_CLIENTS * 3 and len(set(waits)) <= len(waits) // 2:
        raise Violation(16, f"clients come back in step: {sorted(waits)}")


def _lags(world: World, began: float, *, but: Client | None = None) -> list[Violation]:
    """Who has been live all the time, and yet is not whole."""
    return [
        lag
        for client in world.clients
        if client is not but and client.has_lived(began)
        for handler in client.handlers.values()
        if (lag := world.judge.lag(handler))
    ]


def _topic(world: World) -> Topic:
    """One that somebody follows."""
    for client in world.clients:
        for handler in client.handlers.values():
            if not handler.wildcard:
                return handler.topic
    return None, "gift-list:1"


DRILLS: dict[str, Callable[[World], Awaitable[None]]] = {
    "quiet": _quiet,
    "interrupted": _interrupted,
    "slow": _slow,
    "herd": _herd,
}
