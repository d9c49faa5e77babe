"""The Python client on all transports while real servers are killed and drained: on SQLite it recovers whole."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.clients.python_rig import LIST, SECRET, Reader, subscribed, token, until
from tests.faults.proxy import FaultProxy, fault_proxy
from tidings.client import Live, connect

API_KEY = "K"
TRANSPORTS = (("websocket",), ("sse",), ("poll",), ("websocket", "sse", "poll"))
DRAIN_SECONDS = 3


class Publisher:
    """Publishes numbers over HTTP from a thread, each until it is stored: a repeat has the same key."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.count = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._publish(self.count):
                self.count += 1
            self._stopping.wait(0.02)

    def _publish(self, number: int) -> bool:
        event = {"topic": LIST, "event": "UPDATED", "data": {"entity_id": str(number)}, "idempotency_key": f"n{number}"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/realtime/publish", json.dumps(event).encode(),
            {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, ValueError):
            return False

    def stop(self) -> list[str]:
        """What has been stored."""
        self._stopping.set()
        self._thread.join()
        return [str(number) for number in range(self.count)]


@contextmanager
def publishing(port: int) -> Iterator[Publisher]:
    publisher = Publisher(port)
    try:
        yield publisher
    finally:
        publisher.stop()


def options(folder: Path) -> list[str]:
    broker = f"sqlite:///{folder / 'history.sqlite3'}"
    return ["serve", "--secret", SECRET, "--api-key", API_KEY, "--broker", broker]


async def ready(process: Any) -> int:
    """The port that it listens on."""
    found = await asyncio.to_thread(process.wait_for, r"Ready on http://127.0.0.1:(\d+)")
    return int(found[1])


async def followers(proxy: FaultProxy, stack: AsyncExitStack) -> tuple[list[Live], list[Reader]]:
    """A client for each transport by itself, and one that may choose."""
    lives = [await stack.enter_async_context(connect(proxy.http, token=token(), transports=one)) for one in TRANSPORTS]
    readers = [Reader(live, LIST) for live in lives]
    for live in lives:
        await subscribed(live)
    return lives, readers


async def check_whole(readers: list[Reader], published: list[str]) -> None:
    for names, reader in zip(TRANSPORTS, readers, strict=True):
        assert await reader.until(len(published)) == published, names
        assert reader.gaps == [], names


def _have_read(readers: list[Reader], count: int) -> bool:
    return all(len(reader.events) > count for reader in readers)


async def test_every_transport_is_whole_after_kill_9(command: Callable[..., Any], tmp_path: Path) -> None:
    with ExitStack() as processes:  # they end last, for a server waits for its clients
        async with AsyncExitStack() as stack:
            first = processes.enter_context(command(*options(tmp_path), "--port", "0"))
            port = await ready(first)
            proxy = await stack.enter_async_context(fault_proxy(port))
            lives, readers = await followers(proxy, stack)
            publisher = stack.enter_context(publishing(port))
            await until(partial(_have_read, readers, 10))
            first.command.kill()
            await asyncio.to_thread(first.command.wait)
            await until(lambda: all(live.status.state != "live" for live in lives), 40)
            await ready(processes.enter_context(command(*options(tmp_path), "--port", str(port))))
            seen = publisher.count
            await until(partial(_have_read, readers, seen + 10), 40)
            published = publisher.stop()
            await check_whole(readers, published)


async def test_every_transport_is_whole_after_a_drain(command: Callable[..., Any], tmp_path: Path) -> None:
    """SIGTERM under load: the next server is there already, behind the same address."""
    with ExitStack() as processes:  # they end last, for a server waits for its clients
        async with AsyncExitStack() as stack:
            first = processes.enter_context(
                command(*options(tmp_path), "--port", "0", TIDINGS_DRAIN_SECONDS=str(DRAIN_SECONDS))
            )
            second = processes.enter_context(command(*options(tmp_path), "--port", "0"))
            port = await ready(first)
            proxy = await stack.enter_async_context(fault_proxy(port))
            lives, readers = await followers(proxy, stack)
            refetches: list[bool] = []
            for live in lives:
                live.on_status(lambda status: refetches.append(True) if status.refetching else None)
            publisher = stack.enter_context(publishing(port))
            await until(partial(_have_read, readers, 10))
            publisher.port = proxy.upstream_port = await ready(second)
            first.command.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.command.wait, DRAIN_SECONDS + 10) in (0, -signal.SIGTERM)
            await until(lambda: all(live.status.state == "live" for live in lives))
            seen = publisher.count
            await until(partial(_have_read, readers, seen + 10))
            await check_whole(readers, publisher.stop())
            assert not refetches, "a drain is no outage"


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_a_publish_whose_answer_is_lost_is_repeated_and_stored_once(
    transport: str, command: Callable[..., Any], tmp_path: Path
) -> None:
    """The server dies after it has stored the event and before its answer arrives; it keeps keys over the restart."""
    with ExitStack() as processes:  # they end last, for a server waits for its clients
        async with AsyncExitStack() as stack:
            first = processes.enter_context(command(*options(tmp_path), "--port", "0"))
            port = await ready(first)
            proxy = await stack.enter_async_context(fault_proxy(port))
            reading = await stack.enter_async_context(connect(f"http://127.0.0.1:{port}", token=token("ben")))
            reader = Reader(reading, LIST)
            await subscribed(reading)
            writing = await stack.enter_async_context(
                connect(proxy.http, token=token(publish=(LIST,)), transports=[transport])
            )
            await writing.wait_live()
            proxy.set("/realtime", drop="down")
            waiting = asyncio.create_task(writing.publish(LIST, "ADDED", entity_id="a", queue_seconds=60))
            await reader.until(1)
            assert not waiting.done()
            first.command.kill()
            await asyncio.to_thread(first.command.wait)
            proxy.cut(how="rst")
            proxy.heal()
            second = processes.enter_context(command(*options(tmp_path), "--port", str(port)))
            await ready(second)
            writing.reconnect()
            async with asyncio.timeout(30):
                cursor = await waiting
            assert cursor == reader.events[0].cursor, "the first one's answer"
            await writing.publish(LIST, "ADDED", entity_id="b")
            assert await reader.until(2) == ["a", "b"]
