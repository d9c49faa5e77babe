"""A Tidings server in the test's own process, and a loop that reads beside the test, for the Python client."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import jwt
import uvicorn
from starlette.applications import Starlette

from tidings import Settings
from tidings.brokers.memory import MemoryBroker
from tidings.client import Event, Gap, Live
from tidings.ports import Broker
from tidings.server import Tidings

SECRET = "a secret of more than thirty-two bytes"
LIST = "gift-list:1"


def token(user: str = "ana", *, seconds: float = 600, publish: tuple[str, ...] = ()) -> str:
    claims = {"sub": user, "exp": time.time() + seconds, "subscribe": ["gift-list:*"], "publish": list(publish)}
    return jwt.encode(claims, SECRET, algorithm="HS256")


class KeptBroker(MemoryBroker):
    """A broker that outlives its server, as one across a network does."""

    async def close(self) -> None:
        self._receiver = None
        self._joined.clear()


@asynccontextmanager
async def server(port: int = 0, broker: Broker | None = None) -> AsyncIterator[tuple[Tidings, str, int]]:
    live = Tidings(settings=Settings(secret=SECRET), broker=broker)
    app = Starlette()
    live.mount(app)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    number = listener.getsockname()[1]
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, timeout_graceful_shutdown=2)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running.serve(sockets=[listener]))
    while not running.started:
        await asyncio.sleep(0.01)
        if task.done():
            task.result()
    try:
        yield live, f"http://127.0.0.1:{number}", number
    finally:
        running.should_exit = True
        await task
        listener.close()


class Reader:
    """Reads a subscription into a list, beside the test."""

    def __init__(self, live: Live, *topics: str, since: str | None = None) -> None:
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.ended: BaseException | None = None
        self.task = asyncio.create_task(self._read(live, topics, since))

    async def _read(self, live: Live, topics: tuple[str, ...], since: str | None) -> None:
        try:
            async for event in live.subscribe(*topics, since=since, on_gap=self.gaps.append):
                self.events.append(event)
        except Exception as error:
            self.ended = error

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                await asyncio.sleep(0.01)
        return [event.entity_id for event in self.events]


async def subscribed(live: Live, topic: str = LIST) -> None:
    """The server holds the topic for this client."""
    async with asyncio.timeout(10):
        while (snapshot := live._machine.topic(topic)) is None or snapshot.state != "live":
            await asyncio.sleep(0.01)
