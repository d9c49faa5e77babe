"""The load generator of the benchmark, against a server that loses, doubles, reorders and misdirects on purpose."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench import build

CONNECTIONS, TOPICS = 6, 2
# By the subscriber, counted in the order of the tokens; events of its topic counted from 1.
LOSE = {0: {3, 7}, 3: {2}}
DOUBLE = {1: {5}}
DOUBLE_LATE = {2: {4}}  # again after eight others
SWAP_WITH_NEXT = {4: {11}}
MISDIRECT = {5: {9}}


class FaultyServer:
    """Fans out, a frame an event or several in one, but for its faults."""

    def __init__(self) -> None:
        self._members: defaultdict[str, list[Subscriber]] = defaultdict(list)

    async def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        user = socket.request.path.partition("=")[2]
        async for message in socket:
            frame = json.loads(message)
            if frame["type"] == "subscribe":
                for topic in frame["topics"]:
                    self._members[topic].append(Subscriber(socket, int(user)))
                await socket.send('{"type":"subscribed"}')
                continue
            assert user == "publisher"
            for member in self._members[frame["topic"]]:
                for text in member.frames(json.dumps(frame)):
                    await member.socket.send(text)
            if frame["topic"] == "bench:0" and self._misdirected(frame):
                await self._members["bench:1"][-1].socket.send(json.dumps(frame))

    def _misdirected(self, frame: dict[str, Any]) -> bool:
        return self._members["bench:0"][0].count in MISDIRECT[5]


class Subscriber:
    """One, and what is done to its events."""

    def __init__(self, socket: ServerConnection, number: int) -> None:
        self.socket = socket
        self.number = number
        self.count = 0
        self._held: str | None = None
        self._late: str | None = None

    def frames(self, text: str) -> Iterator[str]:
        """What this publication becomes."""
        self.count += 1
        if self.count in LOSE.get(self.number, ()):
            return
        if self.count in SWAP_WITH_NEXT.get(self.number, ()):
            self._held = text
            return
        yield text
        if self.count in DOUBLE.get(self.number, ()):
            yield text
        if self.count in DOUBLE_LATE.get(self.number, ()):
            self._late = text
        if self._late is not None and self.count - 8 in DOUBLE_LATE[self.number]:
            yield self._late
        if self._held is not None:
            yield self._held
            self._held = None


@pytest.fixture
def program(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setattr(build, "BUILD", tmp_path)
    monkeypatch.setattr(build, "LOAD", tmp_path / "load")
    monkeypatch.setattr(build, "LIMIT", tmp_path / "limit")
    build.load()
    return str(build.LOAD)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serve(FaultyServer(), "127.0.0.1", 0, compression=None) as server:
        number: int = next(iter(server.sockets)).getsockname()[1]
        yield number


async def ask(program: str, lines: Sequence[str]) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate("".join(f"{line}\n" for line in lines).encode()), 30)
    return [json.loads(line) for line in output.splitlines()]


def plan(tmp_path: Any, port: int, **other: object) -> list[str]:
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{number}\n" for number in range(CONNECTIONS)))
    lines = {"port": port, "connections": CONNECTIONS, "topics": TOPICS, "tokens": tokens, "path": "/?user=%t",
             "publisher-token": "publisher", "patience-ms": 500} | other  # fmt: skip
    return [f"{key} {value}" for key, value in lines.items()] + [
        'send {"type":"subscribe","topics":["%T"]}', "await subscribed",
        'publish {"type":"publish","topic":"%T","mark":"%M"}',
    ]  # fmt: skip


async def test_planted_faults_are_counted_exactly(program: str, port: int, tmp_path: Any) -> None:
    opened, run = await ask(program, [*plan(tmp_path, port), "open", "pace 100 1", "quit"])
    assert opened["ready"] == CONNECTIONS and opened["failed"] == 0
    counted = {name: run[name] for name in ("lost", "doubled", "reordered", "stray")}
    assert counted == {"lost": 3, "doubled": 2, "reordered": 1, "stray": 1}


async def test_frames_get_the_size_that_is_asked_for(program: str, port: int, tmp_path: Any) -> None:
    # One topic, so that the misdirected event is none; the first publication only measures.
    _, run = await ask(program, [*plan(tmp_path, port, **{"frame-bytes": 1_000}), "open", "pace 20 0.3", "quit"])
    assert run["frame_bytes"] == 1_000 and run["deliveries"] > 0
    times = run["latency_us"]
    assert 0 < times["p50"] <= times["p99"] <= times["p999"] <= times["max"] < 10e6


async def test_nobody_listens(program: str, tmp_path: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, said = await process.communicate("\n".join([*plan(tmp_path, 1), "open", ""]).encode())
    assert process.returncode == 3 and output == b""
    assert said == b"load: the publisher was not let in\n"
