"""Recovery over real sockets: what was missed is more than may wait for one reader at a time."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import connect

from tests.servers import serving
from tidings import Identity
from tidings.server import Tidings

pytestmark = pytest.mark.usefixtures("way")

LIST = "gift-list:1"
EVENTS = 30


async def test_a_recovery_of_three_megabytes() -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token), authorize={"gift-list:{list_id}": True})
    app = Starlette()
    live.mount(app)
    async with serving(app) as address:
        since = await live.publish(LIST, "ADDED", entity_id="0")
        for number in range(1, EVENTS + 1):
            await live.publish(LIST, "ADDED", entity_id=number, payload="x" * 100_000)
        async with connect(f"{address.websocket}?token=ana", max_size=None) as client:
            await client.recv()
            await client.send(json.dumps({"type": "subscribe", "topics": [LIST], "since": {LIST: since}}))
            answer = json.loads(await client.recv())
            assert answer["topics"][LIST] == {"cursor": since, "recovered": True}
            for number in range(1, EVENTS + 1):
                event = json.loads(await asyncio.wait_for(client.recv(), 5))
                assert event["data"]["entity_id"] == str(number)
            await live.publish(LIST, "ADDED", entity_id="live")
            assert json.loads(await asyncio.wait_for(client.recv(), 5))["data"]["entity_id"] == "live"
