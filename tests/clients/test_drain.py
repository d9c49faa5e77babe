"""SIGTERM on real servers: clients are told, events go on, nobody new comes in, and it ends in time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.clients.conftest import SOURCE
from tidings.auth import mint_token

SECRET = "a secret of more than thirty-two bytes"
WINDOW_SECONDS = 3
APPLICATION = f"""
from fastapi import FastAPI
from tidings import Tidings

live = Tidings(secret="{SECRET}", authorize={{"gift-list:{{id}}": True}}, api_keys=["K"])
app = FastAPI()
live.mount(app)
"""
SERVE = ["serve", "--port", "0", "--secret", SECRET, "--api-key", "K"]
RUN = ["run", "application:app", "--port", "0"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "application.py").write_text(APPLICATION)
    return tmp_path


def socket_url_of(url: str) -> str:
    token = mint_token(SECRET, user="ana", subscribe=["gift-list:*"], ttl_seconds=600, now=datetime.now(UTC))
    return f"{url.replace('http', 'ws')}/realtime/ws?token={token}"


@pytest.mark.parametrize("options", [SERVE, RUN], ids=["serve", "run"])
async def test_sigterm(options: list[str], folder: Path, command: Callable[..., Any]) -> None:
    with command(*options, cwd=folder, TIDINGS_DRAIN_SECONDS=str(WINDOW_SECONDS)) as process:
        url = process.wait_for(r"(?:Ready on|Open) (http://[\d.:]+)")[1]
        socket_url = socket_url_of(url)
        async with connect(socket_url) as client, httpx.AsyncClient(base_url=url) as http:
            await client.send('{"type":"subscribe","topics":["gift-list:1"],"id":1}')
            while json.loads(await client.recv()).get("id") != 1:
                pass
            await http.get("/healthz")  # a connection that is open before the listener closes
            begin = time.monotonic()
            process.command.send_signal(signal.SIGTERM)
            told = json.loads(await asyncio.wait_for(client.recv(), 5))
            assert (told["type"], told["delay_ms"]) == ("reconnect", WINDOW_SECONDS * 1_000)
            with pytest.raises(OSError):
                await connect(socket_url)
            event = {"topic": "gift-list:1", "event": "ADDED", "data": {"entity_id": "late"}}
            answer = await http.post("/realtime/publish", json=event, headers={"Authorization": "Bearer K"})
            assert answer.status_code == 200, answer.text
            assert json.loads(await asyncio.wait_for(client.recv(), 5))["data"]["entity_id"] == "late"
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(client.recv(), WINDOW_SECONDS + 5)
            assert client.close_code == 1012
        assert await asyncio.to_thread(process.command.wait, 10) in (0, -signal.SIGTERM)
        assert WINDOW_SECONDS <= time.monotonic() - begin < WINDOW_SECONDS + 5


async def test_nobody_connected_ends_at_once(command: Callable[..., Any]) -> None:
    with command("serve", "--port", "0", "--secret", SECRET) as process:
        process.wait_for("Ready on")
        begin = time.monotonic()
        process.command.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.command.wait, 10)
        assert time.monotonic() - begin < 3


async def test_an_interrupt_does_not_wait(command: Callable[..., Any]) -> None:
    with command("serve", "--port", "0", "--secret", SECRET, TIDINGS_DRAIN_SECONDS="60") as process:
        url = process.wait_for(r"Ready on (http://\S+)/realtime")[1]
        token = mint_token(SECRET, user="ana", ttl_seconds=600, now=datetime.now(UTC))
        async with connect(f"{url.replace('http', 'ws')}/realtime/ws?token={token}") as client:
            await client.recv()
            begin = time.monotonic()
            process.command.send_signal(signal.SIGINT)
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(client.recv(), 10)
        await asyncio.to_thread(process.command.wait, 10)
        assert time.monotonic() - begin < 5


async def test_several_workers_of_an_application_drain_too(folder: Path, command: Callable[..., Any]) -> None:
    options = {"TIDINGS_DRAIN_SECONDS": "1", "TIDINGS_BROKER": "sqlite:///events.db"}
    with command(*RUN, "--workers", "2", cwd=folder, **options) as process:
        url = process.wait_for(r"Open (http://[\d.:]+)")[1]
        async with connect(socket_url_of(url)) as client:
            assert json.loads(await client.recv())["type"] == "welcome"
            process.command.send_signal(signal.SIGTERM)
            assert json.loads(await asyncio.wait_for(client.recv(), 5))["delay_ms"] == 1_000
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)
            assert client.close_code == 1012
        assert await asyncio.to_thread(process.command.wait, 10) == 0


async def test_a_developers_change_restarts_at_once(folder: Path, command: Callable[..., Any]) -> None:
    with command(*RUN, "--reload", cwd=folder, TIDINGS_DRAIN_SECONDS="60", PYTHONUNBUFFERED="1") as process:
        url = process.wait_for(r"Open (http://[\d.:]+)")[1]
        process.wait_for_error("Application startup complete")
        async with connect(socket_url_of(url)) as client:
            assert json.loads(await client.recv())["type"] == "welcome"
            (folder / "application.py").write_text(APPLICATION + "# changed\n")
            assert json.loads(await asyncio.wait_for(client.recv(), 15))["type"] == "reconnect"
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)


async def test_plain_uvicorn_closes_at_once_but_says_when_to_come_back(folder: Path) -> None:
    uvicorn = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "application:app", "--port", "0",
        cwd=folder, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert uvicorn.stderr is not None
    try:
        async with asyncio.timeout(30):
            while not (found := re.search(rb"running on (http://[\d.:]+)", await uvicorn.stderr.readline())):
                assert not uvicorn.stderr.at_eof()
        async with connect(socket_url_of(found[1].decode())) as client:
            assert json.loads(await client.recv())["type"] == "welcome"
            uvicorn.send_signal(signal.SIGTERM)
            told = json.loads(await asyncio.wait_for(client.recv(), 5))
            assert (told["type"], told["delay_ms"]) == ("reconnect", 2_000)
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(client.recv(), 5)
            assert client.close_code == 1012
        await asyncio.wait_for(uvicorn.wait(), 10)
    finally:
        if uvicorn.returncode is None:
            uvicorn.kill()
        await uvicorn.communicate()
