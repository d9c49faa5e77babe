"""A subscriber on a real socket, for the tests of what a server sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.servers import Address

ANSWER_SECONDS_MAX = 5


async def read(connection: ClientConnection) -> dict[str, Any]:
    """The next frame. Raises TimeoutError where none comes, and ConnectionClosed at the end."""
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(connection.recv(), ANSWER_SECONDS_MAX))
    return frame


@asynccontextmanager
async def welcomed(address: Address, token: str, *, path: str = "") -> AsyncIterator[tuple[ClientConnection, str]]:
    """A connection that was welcomed, and its session."""
    async with connect(f"{path or address.websocket}?token={token}") as connection:
        welcome = await read(connection)
        assert welcome["type"] == "welcome", welcome
        yield connection, welcome["session"]


@asynccontextmanager
async def subscribed(address: Address, token: str, *topics: str) -> AsyncIterator[ClientConnection]:
    """A connection whose topics are live: the next frame is an event."""
    async with welcomed(address, token) as (connection, _):
        await connection.send(json.dumps({"type": "subscribe", "topics": topics}))
        answer = await read(connection)
        assert answer["type"] == "subscribed" and set(answer["topics"]) == set(topics), answer
        yield connection
