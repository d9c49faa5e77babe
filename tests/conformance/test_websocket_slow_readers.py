"""Some readers stop in the middle of a stream: the others notice nothing, and those come back without a gap."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from tests.servers import Address, serving
from tests.subscribers import read
from tidings import Identity, Limits, Settings, Tidings
from tidings.transports import websocket, websocket_fast_link

pytestmark = pytest.mark.usefixtures("way")

LIST = "gift-list:1"
EVENT_BYTES = 40_000
LIMITS = Limits(backlog_bytes=262_144, connections_per_user=0, recovery_events=0)


def made() -> tuple[Tidings, Starlette]:
    live, app = (
        Tidings(
            authenticate=lambda who: Identity(user=who.token),
            authorize={"gift-list:{list_id}": True},
            settings=Settings(limits=LIMITS),
        ),
        Starlette(),
    )
    live.mount(app)
    return live, app


async def follow(address: Address, name: str, since: str | None = None) -> ClientConnection:
    """A subscriber whose library stops reading the socket when nobody takes what it has read."""
    client = await connect(f"{address.websocket}?token={name}", max_queue=1, max_size=None)
    assert (await read(client))["type"] == "welcome"
    more = {} if since is None else {"since": {LIST: since}}
    await client.send(json.dumps({"type": "subscribe", "topics": [LIST], **more}))
    answer = await read(client)
    assert answer["type"] == "subscribed" and answer["topics"][LIST]["recovered"] == (since is not None), answer
    return client


async def events(client: ClientConnection, until: int | None = None) -> list[dict[str, Any]]:
    """What comes, up to that event or to the end of the connection."""
    found: list[dict[str, Any]] = []
    try:
        while until is None or len(found) < until:
            found.append(await read(client))
    except websockets.ConnectionClosed:
        pass
    return found


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [int(event["data"]["entity_id"]) for event in found]


def listeners(live: Tidings) -> int:
    return live.node.statistics()["subscriptions_live"]


async def publish_until_cut_off(live: Tidings, others: list[ClientConnection]) -> int:
    """Publish at the pace of the others, until no one else listens; how many events that took."""
    count = 0
    while listeners(live) > len(others):
        count += 1
        assert count < 900, "nobody was cut off"
        await live.publish(LIST, "ADDED", entity_id=count, payload="x" * EVENT_BYTES)
        for client in others:
            assert numbers([await read(client)]) == [count]
    return count


async def test_stopped_readers_are_cut_off_and_recover() -> None:
    live, app = made()
    async with serving(app) as address:
        stopped = [await follow(address, "stopped") for _ in range(2)]
        others = [await follow(address, "other") for _ in range(8)]
        count = await publish_until_cut_off(live, others)
        for client in stopped:
            seen = await events(client)
            assert client.close_code == 4503
            assert numbers(seen) == list(range(1, len(seen) + 1)), "what came, came in order"
            again = await follow(address, "again", seen[-1]["cursor"])
            missed = await events(again, until=count - len(seen))
            assert numbers(missed) == list(range(len(seen) + 1, count + 1)), "and nothing is missing in between"
            await again.close()
        for client in others:
            await client.close()


async def test_a_reader_that_never_reads_again_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    for transport in (websocket, websocket_fast_link):
        monkeypatch.setattr(transport, "CLOSE_SECONDS", 0.5)
    live, app = made()
    async with serving(app) as address:
        stopped, other = await follow(address, "stopped"), await follow(address, "other")
        await publish_until_cut_off(live, [other])
        async with asyncio.timeout(10):
            while live.node.statistics()["sockets"] > 1:
                await asyncio.sleep(0.05)
        await events(stopped)
        assert stopped.close_code in (1006, 4503), "reset; what had left before may still have been read"
        await other.close()
