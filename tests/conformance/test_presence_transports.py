"""How a member ends, on both WebSocket transports and both loops: by a close of its own, or lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from tests.servers import Address, serving
from tidings import Identity, Settings, Tidings

pytestmark = pytest.mark.usefixtures("way")

LIST = "gift-list:1"


class Follower:
    """A connection that is present, and has who is there as the frames leave it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.users: dict[str, str] = {}
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self.socket:
            frame = json.loads(text)
            for member in frame.get("members", []):
                self.users[member["session"]] = member["user"]
            for session in frame.get("sessions", []):
                self.users.pop(session, None)

    async def until(self, *users: str) -> float:
        """Seconds until exactly these were there."""
        started = time.monotonic()
        async with asyncio.timeout(10):
            while sorted(self.users.values()) != sorted(users):
                await asyncio.sleep(0.005)
        return time.monotonic() - started


async def present(address: Address, user: str) -> Follower:
    socket = await connect(f"{address.websocket}?token={user}")
    await socket.send(json.dumps({"type": "subscribe", "topics": [LIST], "presence": True}))
    return Follower(socket)


def _close(follower: Follower) -> None:
    asyncio.get_running_loop().create_task(follower.socket.close())


def _abort(follower: Follower) -> None:
    follower.socket.transport.abort()


@pytest.mark.parametrize(
    ("end", "earliest", "latest"), [(_close, 0.0, 1.0), (_abort, 1.5, 4.0)], ids=["goodbye", "lost"]
)
async def test_a_goodbye_is_told_at_once_and_a_loss_after_two_seconds(
    end: Callable[[Follower], None], earliest: float, latest: float
) -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token), authorize={"gift-list:{n}": True},
                   settings=Settings())  # fmt: skip
    app = Starlette()
    live.mount(app)
    async with serving(app) as address:
        ana, ben = await present(address, "ana"), await present(address, "ben")
        await ana.until("ana", "ben")
        await ben.until("ana", "ben")
        end(ben)
        assert earliest <= await ana.until("ana") <= latest
        await ana.socket.close()
        await asyncio.gather(ana.task, ben.task, return_exceptions=True)
