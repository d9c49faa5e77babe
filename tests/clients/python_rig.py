"""A Tidings server in the test's own process, and a loop that reads beside the test, for the Python client."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
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

    def __init__(
        self, live: Live, *topics: str, since: str | None = None, on_refetch: Callable[[], None] | None = None
    ) -> None:
        self.events: list[Event] = []
        self.gaps: list[Gap] = []
        self.ended: BaseException | None = None
        self.task = asyncio.create_task(self._read(live, topics, since, on_refetch))

    async def _read(
        self, live: Live, topics: tuple[str, ...], since: str | None, on_refetch: Callable[[], None] | None
    ) -> None:
        try:
            stream = live.subscribe(*topics, since=since, on_gap=self.gaps.append, on_refetch=on_refetch)
            async for event in stream:
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


class Writer:
    """Publishes numbers, one after the other, until it is told to stop."""

    def __init__(self, tidings: Tidings, topic: str = LIST, pause_seconds: float = 0.02) -> None:
        self.count = 0
        self._stopping = False
        self._task = asyncio.create_task(self._write(tidings, topic, pause_seconds))

    async def _write(self, tidings: Tidings, topic: str, pause_seconds: float) -> None:
        while not self._stopping:
            await tidings.publish(topic, "UPDATED", entity_id=self.count, payload={"n": self.count})
            self.count += 1
            await asyncio.sleep(pause_seconds)

    async def stop(self) -> list[str]:
        """What has been published."""
        self._stopping = True
        await self._task
        return [str(number) for number in range(self.count)]


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until it is true. Raises TimeoutError after the deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
