"""A server that is killed and comes back: with its history nothing is missed; without it all are told. Both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults.fleet.checker import Verdict
from tests.faults.proxy import fault_proxy
from tests.faults.serve import server, token
from tests.faults.watch import watching
from tidings.client import connect

TOPIC = "gift-list:1"
WITHIN_SECONDS = 20
Publish = Callable[[str, str], Awaitable[str]]


async def test_f08_a_restart_with_its_data_recovers_whole(tmp_path: Path) -> None:
    """Killed with nothing said; what is published while the clients are away is there when they are back."""
    broker = f"sqlite:///{tmp_path}/events.sqlite3"
    async with server(tmp_path, broker=broker) as one, fault_proxy(one.port) as proxy:
        async with watching(proxy, tmp_path) as watch:
            await watch.publish(one.http, 5)
            await one.kill()
            proxy.accepting = False
            await one.start()
            await watch.publish(one.http, 200)
            await watch.down()
            proxy.accepting = True
            await watch.hurry()
            await watch.check_whole()


async def test_f09_a_restart_without_its_data_is_told_though_nothing_follows(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        await watch.publish(one.http, 5)
        await watch.whole()
        await one.kill()
        await watch.down()
        await one.start()
        await watch.hurry()
        await watch.ready()
        verdict = await watch.judged()
        assert verdict == Verdict(delivered=watch.count * 5, gaps_told=verdict.gaps_told)
        assert verdict.gaps_told == {"epoch_changed": watch.count}


async def test_f52_leaving_and_coming_back_between_two_events(tmp_path: Path) -> None:
    """A loop that ends after each event, and begins anew where it was: none twice, none missed."""
    async with server(tmp_path) as one, connect(one.http, token=token("ana")) as live:
        cursors = [await one.publish(TOPIC, f"g-{number}") for number in range(3)]
        since = f"{cursors[0].rpartition('-')[0]}-0"
        seen: list[str] = []
        more = asyncio.create_task(publish_more(one.publish))
        async with asyncio.timeout(WITHIN_SECONDS):
            while len(seen) < 30:
                async for event in live.subscribe(TOPIC, since=since):
                    seen.append(event.entity_id)
                    assert event.cursor is not None
                    since = event.cursor
                    break
        await more
    assert seen == [f"g-{number}" for number in range(30)]


async def publish_more(publish: Publish) -> None:
    for number in range(3, 30):
        await publish(TOPIC, f"g-{number}")
