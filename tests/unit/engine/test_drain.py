"""A server that goes away: nobody loses an event, and the next server is not stormed."""

from __future__ import annotations

import asyncio
import random

from tests.unit.engine.rig import Client, started
from tidings.core.limits import Limits
from tidings.testing.virtual import run_virtual

LIST = "gift-list:1"
WINDOW_SECONDS = 10


def delay_of(client: Client) -> float:
    (frame,) = client.of("reconnect")
    return float(frame["delay_ms"]) / 1_000


async def move(client: Client, dice: random.Random, moved_at: list[float]) -> None:
    """What a client does: it leaves at a random moment within the window."""
    await asyncio.sleep(dice.random() * delay_of(client))
    moved_at.append(asyncio.get_running_loop().time())
    client.connection.gone()


def test_five_thousand_clients_are_spread_over_the_window() -> None:
    async def run() -> None:
        limits = Limits(connections_per_user=0)
        async with started(limits=limits) as rig:
            clients = [rig.client("ana") for _ in range(5_000)]
            await clients[-1].until(lambda: clients[-1].of("welcome"))
            begin = asyncio.get_running_loop().time()
            draining = asyncio.create_task(rig.node.drain(WINDOW_SECONDS))
            await asyncio.sleep(0)
            moved_at: list[float] = []
            dice = random.Random(7)
            await asyncio.gather(*(move(client, dice, moved_at) for client in clients))
            await draining
            seconds = [int(at - begin) for at in moved_at]
            most = max(seconds.count(second) for second in range(WINDOW_SECONDS))
            assert len(moved_at) == 5_000
            assert most <= 2 * 5_000 / WINDOW_SECONDS
            assert not any(client.sink.closed for client in clients), "nobody had to be closed"

    run_virtual(run())


def test_events_go_on_until_a_client_moves_and_who_stays_is_closed() -> None:
    async def run() -> None:
        async with started() as rig:
            leaving, staying = rig.client("ana"), rig.client("ben")
            for client in (leaving, staying):
                client.send(type="subscribe", topics=[LIST], id=1)
                await client.answer(1)
            draining = asyncio.create_task(rig.node.drain(WINDOW_SECONDS))
            await asyncio.sleep(3)
            await rig.publish(LIST, 1)
            assert (leaving.offsets, staying.offsets) == ([1], [1])
            leaving.connection.gone()
            await asyncio.sleep(3)
            await rig.publish(LIST, 2)
            assert (leaving.offsets, staying.offsets) == ([1], [1, 2])
            assert staying.sink.closed is None
            await draining
            assert asyncio.get_running_loop().time() < WINDOW_SECONDS + 2
            assert staying.sink.closed == (1012, "the server restarts")

    run_virtual(run())


def test_with_nobody_connected_it_ends_at_once() -> None:
    async def run() -> None:
        async with started() as rig:
            await rig.node.drain(WINDOW_SECONDS)
            assert asyncio.get_running_loop().time() < 0.1

    run_virtual(run())
