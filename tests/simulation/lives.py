"""What happens during the storm: people, publishers, the network, the servers, the brokers, each a life of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.simulation.broker import Planted
from tests.simulation.plan import TENANTS, TOPICS, WILDCARD
from tidings.core.errors import BrokerUnavailable

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.world import World

PUBLISHERS = 2


def lives(world: World) -> Iterator[Coroutine[Any, Any, None]]:
    """Everything that the plan asks for."""
    plan = world.plan
    yield _bounds(world)
    for number in range(PUBLISHERS):
        yield _publisher(world, f"p-{number}")
    for client in world.clients:
        yield _person(world, client)
        if plan.client_publishes:
            yield _client_publisher(world, client)
    yield _network(world)
    if plan.blocks:
        yield _blocks(world)
    if plan.revokes:
        yield _rights(world)
    if plan.clock_jumps:
        yield _clocks(world)
    for count, act in (
        (plan.crashes, _crash),
        (plan.drains, _drain),
        (plan.stops, _stop),
        (plan.wipes, _wipe),
        (plan.failovers, _fail_over),
        (plan.interruptions, _interrupt),
        (plan.outages, _outage),
    ):
        for number in range(count):
            yield _once(world, f"{act.__name__} {number}", act)


async def _once(world: World, name: str, act: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    await asyncio.sleep(world.dice(name).uniform(1, 35))
    await act(world)


async def _bounds(world: World) -> None:
    while True:
        await asyncio.sleep(1)
        for server in world.servers:
            server.check_bounds()


async def _publisher(world: World, name: str) -> None:
    dice = world.dice(name)
    users = sorted({client.user for client in world.clients})
    while True:
        await asyncio.sleep(dice.expovariate(world.plan.publishes_per_second / PUBLISHERS))
        topic = (dice.choice(TENANTS), dice.choice(TOPICS))
        excluded = dice.choice(users) if world.plan.excludes and dice.random() < 0.3 else None
        for _ in range(dice.choice([1, 1, 1, 5])):  # at times a burst
            await world.publish(name, topic, excluded=excluded)


async def _client_publisher(world: World, client: Client) -> None:
    dice, judge = world.dice(f"{client.name} publishes"), world.judge
    while True:
        await asyncio.sleep(dice.expovariate(1 / 8))
        topic = (client.tenant, dice.choice(TOPICS))
        number = world.next_number()
        judge.publishing(number, topic, f"{client.name}/{number}", None)  # several may be under way

        def answer(cursor: str | None, code: str | None, number: int = number) -> None:
            if cursor is not None:
                judge.answered(number, cursor)
                judge.count("client published")
            elif code in ("rate_limited", "bad_event"):
                judge.refused(number)  # `forbidden` may be the answer to a repeat of what was stored
            else:
                judge.unknown(number)

        client.publish(number, topic[1], world.payload(number, topic), f"{client.name}/{number}", answer)


async def _person(world: World, client: Client) -> None:
    """Opens and leaves lists, closes the lid."""
    dice, plan = world.dice(f"{client.name} lives"), world.plan
    while True:
        await asyncio.sleep(dice.expovariate(1 / 4))
        wild = plan.wildcards and dice.random() < 0.2
        topic = WILDCARD if wild else dice.choice(TOPICS)
        if plan.sleeps and dice.random() < 0.1:
            world.judge.count("slept")
            client.sleep()
            await asyncio.sleep(dice.uniform(1, 40))
            client.wake()
        elif client.on(topic) and dice.random() < 0.6:
            client.leave(dice.choice(client.on(topic)))
        else:
            await client.open(topic, with_data=not (plan.without_data and dice.random() < 0.3))


async def _network(world: World) -> None:
    dice, plan, judge = world.dice("network"), world.plan, world.judge
    while True:
        await asyncio.sleep(1)
        for client in world.clients:
            for pipe in client.pipes():
                draw = dice.random() * 60
                if draw < plan.cuts_per_minute:
                    judge.count("cut")
                    pipe.cut()
                elif draw < plan.cuts_per_minute + plan.stalls_per_minute:
                    judge.count("stalled")
                    pipe.stall(dice.uniform(1, 20))
                elif plan.slow_readers and dice.random() < 0.03:
                    judge.count("slow reader")
                    pipe.stall(dice.uniform(5, 30), down_only=True)


async def _blocks(world: World) -> None:
    """A middlebox, a portal, a proxy that buffers: for a while some transports do not work."""
    dice = world.dice("blocks")
    while True:
        await asyncio.sleep(dice.uniform(2, 12))
        hit = dice.choice([["websocket"], ["websocket", "sse"], ["sse"], ["websocket", "sse", "poll"]])
        how = dice.choice(["refused", "swallowed"])
        world.weather.blocked.update(dict.fromkeys(hit, how))
        if "sse" in hit and dice.random() < 0.5:
            world.weather.blocked["sse"] = "buffered"
        world.judge.count("blocked")
        if dice.random() < 0.5:  # and those that are open break
            for client in world.clients:
                for pipe in client.pipes(*hit):
                    pipe.cut()
        await asyncio.sleep(dice.uniform(2, 15))
        world.weather.blocked.clear()


async def _rights(world: World) -> None:
    """A right is withdrawn, the connections of that user are ended, and later the right is given back."""
    dice = world.dice("rights")
    while True:
        await asyncio.sleep(dice.uniform(1, 15))
        client = dice.choice(world.clients)
        right = client.user, (client.tenant, dice.choice(TOPICS))
        world.judge.withdrawn[right] = world.loop.time()
        world.judge.count("right withdrawn")
        world.judge.disconnected.add(client.user)
        for server in list(world.servers):
            with suppress(BrokerUnavailable, Planted):  # the others could not be told: we tell each ourselves
                await server.live.disconnect(client.user, tenant=client.tenant)
        await asyncio.sleep(dice.uniform(5, 25))
        world.judge.withdrawn.pop(right, None)


async def _clocks(world: World) -> None:
    dice = world.dice("clocks")
    while True:
        await asyncio.sleep(dice.uniform(1, 20))
        if world.servers:
            world.judge.count("clock jumped")
            dice.choice(world.servers).clock.skew_seconds += dice.choice([-7_200, -5, 5, 3_600])


async def _crash(world: World) -> None:
    dice = world.dice("crash")
    if not world.servers:
        return
    server = dice.choice(world.servers)
    world.judge.count("crashed")
    world.lose_server(server)
    server.kill()
    if world.plan.wipes_in_crash:
        world.cluster.wipe()
    await asyncio.sleep(dice.uniform(0, 4))
    await world.start_server()


async def _drain(world: World) -> None:
    """A rolling deploy: the new one is there before the old one goes."""
    if world.servers:
        server = world.dice("drain").choice(world.servers)
        world.judge.count("drained")
        await world.start_server()
        await server.drain()
        world.lose_server(server)


async def _stop(world: World) -> None:
    """Another one: the old one goes first."""
    if world.servers:
        server = world.dice("stop").choice(world.servers)
        world.judge.count("stopped")
        await server.stop()
        world.lose_server(server)
        await world.start_server()


async def _wipe(world: World) -> None:
    world.judge.count("wiped")
    world.cluster.wipe()


async def _fail_over(world: World) -> None:
    dice = world.dice("failover")
    world.cluster.lose_end(dice.randint(1, 5))
    for client in world.clients:
        for pipe in client.pipes():
            if dice.random() < 0.5:
                pipe.cut()
    await asyncio.sleep(dice.uniform(2, 8))
    world.cluster.fence()


async def _interrupt(world: World) -> None:
    dice = world.dice("interrupt")
    for server in list(world.servers):
        if dice.random() < 0.7:
            world.judge.count("interrupted")
            server.broker.deaf = True
            await asyncio.sleep(dice.uniform(0, 3))
            server.broker.mend()


async def _outage(world: World) -> None:
    dice = world.dice("outage")
    for server in list(world.servers):
        world.judge.count("broker down")
        server.broker.down = True
    await asyncio.sleep(dice.uniform(0.5, 8))
    for server in world.servers:
        server.broker.down = False
