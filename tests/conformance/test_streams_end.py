"""A process that is asked to stop ends its streams and polls, though its server would wait for them for ever."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

import tidings
from tests.streams import streaming

LIST = "gift-list:1"
START_SECONDS_MAX = 30
END_SECONDS_MAX = 8
SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"sub": "ana", "exp": 4_000_000_000, "subscribe": ["gift-list:*"]}
APPLICATION = f"""
from fastapi import FastAPI
from tidings import Tidings

live = Tidings(secret="{SECRET}")
app = FastAPI()
live.mount(app)
"""
COMMANDS = {
    "uvicorn": ["uvicorn", "application:app", "--port", "0", "--no-access-log"],
    "tidings run": ["tidings.cli.main", "run", "application:app", "--port", "0"],
    "tidings serve": ["tidings.cli.main", "serve", "--port", "0"],
}


@asynccontextmanager
async def process(command: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """A server in a process of its own, and a client of it; killed at the end, if it still lives."""
    (folder / "application.py").write_text(APPLICATION)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    environment = {
        "PYTHONPATH": str(Path(tidings.__file__).parents[1]),
        "PYTHONUNBUFFERED": "1",
        "TIDINGS_SECRET": SECRET,
        "TIDINGS_DRAIN_SECONDS": "1",
    }
    one = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *COMMANDS[command],
        cwd=folder, env=kept | environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert one.stdout is not None
        async with asyncio.timeout(START_SECONDS_MAX):
            while not (found := re.search(rb"http://127\.0\.0\.1:\d+", await one.stdout.readline())):
                assert not one.stdout.at_eof(), "it did not start"
        headers = {"Authorization": f"Bearer {jwt.encode(CLAIMS, SECRET)}"}
        async with httpx.AsyncClient(base_url=f"{found[0].decode()}/realtime", headers=headers, timeout=10) as http:
            yield one, http
    finally:
        if one.returncode is None:
            one.kill()
        await one.communicate()


async def held_poll(http: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    """A poll on its way: the server has its connection before the answer to what is asked after it."""
    [answer] = (await http.post("/poll", json={"topics": [LIST]})).json()["frames"]
    since = {LIST: answer["topics"][LIST]["cursor"]}
    asked = asyncio.create_task(http.post("/poll", json={"topics": [LIST], "since": since}))
    for _ in range(3):
        await http.get("/poll")  # refused, for it names no topic
    return asked


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", list(COMMANDS))
async def test_a_signal_ends_streams_and_polls_and_the_process(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    async with process(command, tmp_path) as (server, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        poll = await held_poll(http)
        server.send_signal(number)
        *_, answered = (await poll).json()["frames"]
        assert answered["type"] == "reconnect"
        told: dict[str, Any] = await stream.frame()
        assert told["type"] == "reconnect"
        [last] = await stream.end()
        assert (last.event, last.frame["code"]) == ("close", 1012)
        await asyncio.wait_for(server.wait(), END_SECONDS_MAX)


async def test_without_streams_nothing_is_waited_for(tmp_path: Path) -> None:
    async with process("uvicorn", tmp_path) as (server, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
        server.send_signal(signal.SIGTERM)
        await asyncio.wait_for(server.wait(), END_SECONDS_MAX)
