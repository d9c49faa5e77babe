"""SIGTERM on a real ``tidings serve``: clients are told, events go on, nobody new comes in, and it ends in time."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from tidings.auth import mint_token

SECRET = "a secret of more than thirty-two bytes"
WINDOW_SECONDS = 3


async def test_sigterm(command: Callable[..., Any]) -> None:
    options = ["serve", "--port", "0", "--secret", SECRET, "--api-key", "K"]
    with command(*options, TIDINGS_DRAIN_SECONDS=str(WINDOW_SECONDS)) as process:
        url = process.wait_for(r"Ready on (http://\S+)/realtime")[1]
        token = mint_token(SECRET, user="ana", subscribe=["gift-list:*"], ttl_seconds=600, now=datetime.now(UTC))
        socket_url = f"{url.replace('http', 'ws')}/realtime/ws?token={token}"
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
