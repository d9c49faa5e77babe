"""Real servers on real sockets, for the tests that need them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from tidings.transports.websocket_fast import WebSocketProtocol

websocket_transport = "asgi"  # or "fast"; tests/conformance/conftest.py sets it, so that its tests run against both


@dataclass(frozen=True)
class Address:
    port: int

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/realtime/ws"


@asynccontextmanager
async def serving(app: ASGIApp, **options: object) -> AsyncIterator[Address]:
    """The application under uvicorn, in this loop, on a free port; stopped at the end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    if websocket_transport == "fast":
        options.setdefault("ws", WebSocketProtocol)
    config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, **options)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the server ended before it was started")
            await asyncio.sleep(0.01)
        yield Address(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        listener.close()
