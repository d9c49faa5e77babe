"""``tidings serve --workers 2`` on one SQLite file: real processes, real clients, one of the processes killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket
from websockets.exceptions import ConnectionClosed

from tests.clients.conftest import Process, started
from tests.clients.python_rig import Reader
from tests.faults.worker_processes import alive, connections_of, until, workers_of
from tests.streams import streaming
from tidings.auth import mint_token
from tidings.client import connect

SECRET = "a secret of more than thirty-two bytes"
KEY = {"Authorization": "Bearer K"}
LIST = "gift-list:1"
WINDOW_SECONDS = 2

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="which worker holds what is asked of /proc")


@dataclass
class Pair:
    """Two workers and their master."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[int]:
        return workers_of(self.process.command.pid, self.port)

    def token(self, user: str = "ana") -> str:
        return mint_token(SECRET, user=user, subscribe=["gift-list:*"], ttl_seconds=600, now=datetime.now(UTC))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with two_workers(tmp_path) as one:
        yield one


@contextmanager
def two_workers(folder: Path, **environment: str) -> Iterator[Pair]:
    options = ["serve", "--workers", "2", "--port", "0", "--secret", SECRET, "--api-key", "K"]
    environment.setdefault("TIDINGS_DRAIN_SECONDS", str(WINDOW_SECONDS))
    with started(*options, "--broker", "sqlite:///events.db", cwd=folder, **environment) as process:
        port = int(process.wait_for(r"Ready on http://127\.0\.0\.1:(\d+)")[1])
        yield Pair(process, port)


async def publish(http: httpx.AsyncClient, number: int, topic: str = LIST) -> str:
    """Publish until it is answered: a worker that dies takes its requests with it."""
    event = {"topic": topic, "event": "UPDATED", "data": {"entity_id": str(number)}, "idempotency_key": str(number)}
    async with asyncio.timeout(30):
        while True:
            try:
                answer = await http.post("/realtime/publish", json=event, headers=KEY)
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                cursor: str = answer.json()["published"][0]["cursor"]
                return cursor
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.05)


async def position(http: httpx.AsyncClient, topic: str = LIST) -> str:
    answer = await http.get("/realtime/cursor", params={"topic": topic}, headers=KEY)
    cursor: str = answer.json()["cursors"][topic]
    return cursor


@asynccontextmanager
async def on_both(pair: Pair, transports: list[str], since: str) -> AsyncIterator[list[Reader]]:
    """So many clients, on these transports in turn, that each worker holds two at least."""
    async with AsyncExitStack() as stack:
        readers: list[Reader] = []
        while len(readers) < 12 or any(connections_of(worker, pair.port) < 2 for worker in pair.workers):
            assert len(readers) < 60, "the system spreads connections over the workers"
            transport = transports[len(readers) % len(transports)]
            token = pair.token(f"u-{len(readers) // 8}")
            client = await stack.enter_async_context(connect(pair.url, token=token, transports=[transport]))
            readers.append(Reader(client, LIST, since=since))
            stack.callback(readers[-1].task.cancel)
            await client.wait_live()
        yield readers


async def test_f19_a_worker_is_killed_between_storing_and_telling(pair: Pair) -> None:
    async with httpx.AsyncClient(base_url=pair.url) as http:
        since = await position(http)
        async with on_both(pair, ["websocket", "sse", "poll"], since) as readers:
            count = 400
            victim = pair.workers[0]
            under_way: list[asyncio.Task[str]] = []
            async with httpx.AsyncClient(base_url=pair.url, limits=httpx.Limits(max_connections=8)) as publisher:
                for number in range(count):
                    under_way.append(asyncio.create_task(publish(publisher, number)))
                    if number == count // 2:
                        os.kill(victim, signal.SIGKILL)
                    if number % 8 == 0:
                        await asyncio.sleep(0.01)
                cursors = await asyncio.gather(*under_way)
            assert len(set(cursors)) == count, "one place each, whatever was sent twice"
            in_order = [str(number) for number, _ in sorted(enumerate(cursors), key=lambda one: offset(one[1]))]
            for reader in readers:
                await until(partial(has_read, reader, count), "everybody has caught up")
                assert reader.ended is None
                assert [event.entity_id for event in reader.events] == in_order, "whole, in order, once"
                assert reader.gaps == [], "nobody had to fetch anew"
            await until(lambda: len(pair.workers) == 2 and victim not in pair.workers, "another worker came")
        pair.process.wait_for_error(rf"tidings\.workers: worker {victim} ended by SIGKILL; another starts in ")


def has_read(reader: Reader, count: int) -> bool:
    return len(reader.events) >= count or reader.ended is not None


def offset(cursor: str) -> int:
    return int(cursor.rpartition("-")[2])


async def test_what_one_worker_publishes_reaches_the_clients_of_both(pair: Pair) -> None:
    async with httpx.AsyncClient(base_url=pair.url) as http, on_both(pair, ["websocket"], await position(http)) as all_:
        await publish(http, 1)  # one connection, so one worker
        await publish(http, 2)
        for reader in all_:
            assert await reader.until(2) == ["1", "2"]


async def test_topics_that_come_later_over_streams_whose_posts_go_to_another_worker(pair: Pair) -> None:
    other = "gift-list:2"
    async with httpx.AsyncClient(base_url=pair.url) as http:
        starts = {topic: await position(http, topic) for topic in (LIST, other)}
        async with AsyncExitStack() as stack:
            pairs: list[tuple[Reader, Reader]] = []
            for number in range(10):
                client = await stack.enter_async_context(
                    connect(pair.url, token=pair.token(f"u-{number}"), transports=["sse"])
                )
                first = Reader(client, LIST, since=starts[LIST])
                await client.wait_live()
                second = Reader(client, other, since=starts[other])
                pairs.append((first, second))
                stack.callback(first.task.cancel)
                stack.callback(second.task.cancel)
            for number in range(5):
                await publish(http, number)
                await publish(http, number, other)
            for reader in (one for both in pairs for one in both):
                assert await reader.until(5) == ["0", "1", "2", "3", "4"]
                assert reader.gaps == []


async def test_a_post_to_the_session_of_another_worker_is_answered_404_unknown_session(pair: Pair) -> None:
    bearer = {"Authorization": f"Bearer {pair.token()}"}
    async with httpx.AsyncClient(base_url=f"{pair.url}/realtime", headers=bearer) as http:
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            answers: dict[int, Any] = {}
            while set(answers) != {202, 404}:
                assert len(answers) < 100
                async with httpx.AsyncClient(base_url=f"{pair.url}/realtime", headers=bearer) as fresh:
                    answer = await fresh.post(f"/session/{stream.session}", json={"type": "ping", "id": 1})
                answers[answer.status_code] = answer.json()
            assert answers[404]["error"]["code"] == "unknown_session"


async def raw_on_both(pair: Pair, stack: AsyncExitStack) -> list[ClientConnection]:
    """WebSockets that are welcome, on both workers."""
    sockets: list[ClientConnection] = []
    while len(sockets) < 6 or any(connections_of(worker, pair.port) == 0 for worker in pair.workers):
        assert len(sockets) < 60
        url = f"ws://127.0.0.1:{pair.port}/realtime/ws?token={pair.token(f'u-{len(sockets) // 8}')}"
        sockets.append(await stack.enter_async_context(websocket(url)))
        assert json.loads(await sockets[-1].recv())["type"] == "welcome"
    return sockets


async def test_f47_a_user_who_is_sent_away_is_sent_away_by_both(pair: Pair) -> None:
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=pair.url) as http:
        sockets = await raw_on_both(pair, stack)
        for user in {f"u-{number // 8}" for number in range(len(sockets))}:
            answer = await http.post("/realtime/disconnect", json={"user": user}, headers=KEY)
            assert answer.status_code == 200, answer.text
        for socket in sockets:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 10)
            assert socket.close_code == 4401


async def test_sigterm_drains_both(pair: Pair) -> None:
    async with AsyncExitStack() as stack:
        sockets = await raw_on_both(pair, stack)
        workers, begin = pair.workers, time.monotonic()
        pair.process.command.send_signal(signal.SIGTERM)
        for socket in sockets:
            told = json.loads(await asyncio.wait_for(socket.recv(), 5))
            assert (told["type"], told["delay_ms"]) == ("reconnect", WINDOW_SECONDS * 1_000)
        assert all(map(alive, workers)), "within the window everybody stays"
        for socket in sockets:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), WINDOW_SECONDS + 5)
            assert socket.close_code == 1012
        assert await asyncio.to_thread(pair.process.command.wait, 10) == 0
        assert WINDOW_SECONDS <= time.monotonic() - begin < WINDOW_SECONDS + 5
        assert not any(map(alive, workers))


async def test_an_interrupt_does_not_wait(tmp_path: Path) -> None:
    with two_workers(tmp_path, TIDINGS_DRAIN_SECONDS="60") as pair:
        async with AsyncExitStack() as stack:
            sockets = await raw_on_both(pair, stack)
            begin = time.monotonic()
            pair.process.command.send_signal(signal.SIGINT)
            for socket in sockets:
                assert json.loads(await asyncio.wait_for(socket.recv(), 5))["delay_ms"] == 2_000
            assert await asyncio.to_thread(pair.process.command.wait, 10) == 130
        assert time.monotonic() - begin < 5


async def test_workers_whose_master_is_killed_drain_by_themselves(pair: Pair) -> None:
    async with AsyncExitStack() as stack:
        sockets = await raw_on_both(pair, stack)
        workers = pair.workers
        pair.process.command.kill()
        for socket in sockets:
            assert json.loads(await asyncio.wait_for(socket.recv(), 5))["type"] == "reconnect"
        await until(lambda: not any(map(alive, workers)), "nobody is left behind")


def test_workers_that_cannot_start_end_the_master_at_once(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("this is no database, and long enough to be read as one")
    options = ["serve", "--workers", "2", "--port", "0", "--secret", SECRET, "--broker", "sqlite:///events.db"]
    with started(*options, cwd=tmp_path) as process:
        assert process.command.wait(20) not in (0, None)
    assert re.search(r"events\.db", "".join(process.errors)), process.errors


def test_a_port_that_somebody_else_serves_is_refused(pair: Pair, tmp_path: Path) -> None:
    options = ["serve", "--workers", "2", "--port", str(pair.port), "--secret", SECRET]
    with started(*options, "--broker", "sqlite:///events.db", cwd=tmp_path) as second:
        assert second.command.wait(20) == 2
    assert "".join(second.errors) == f"error: cannot listen on 127.0.0.1:{pair.port}: Address already in use\n"
