"""A small server behind the fault proxy, for the proxy's own tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection

from tests.faults.proxy import FaultProxy, fault_proxy
from tests.servers import serving

SECONDS_MAX = 5
SHORT_SECONDS = 0.15  # long enough to see that nothing comes
SOCKET = "/realtime/ws"
T = TypeVar("T")


class Behind:
    """The server behind the proxy, and what it has seen."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.left: list[str] = []
        self.stream_goes_on = asyncio.Event()
        self.app = Starlette(
            routes=[
                WebSocketRoute(SOCKET, self._echo),
                Route("/big", lambda _: PlainTextResponse("x" * 200_000)),
                Route("/said", self._hear, methods=["POST", "GET"]),
                Route("/stream", self._stream),
                Route(SOCKET, lambda _: Response("no upgrade", status_code=426)),
            ]
        )

    async def _echo(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                text = await socket.receive_text()
                self.said.append(text)
                await socket.send_text(text)
        except WebSocketDisconnect:
            self.left.append("websocket")

    async def _hear(self, request: Request) -> PlainTextResponse:
        self.said.append((await request.body()).decode())
        return PlainTextResponse("heard")

    async def _stream(self, _: Request) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a" * 10
            await self.stream_goes_on.wait()
            yield b"b" * 10

        return StreamingResponse(chunks())


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Behind, FaultProxy]]:
    behind = Behind()
    async with serving(behind.app) as address, fault_proxy(address.port) as proxy:
        yield behind, proxy


async def soon(awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, SECONDS_MAX)


async def echoed(socket: ClientConnection, text: str) -> float:
    """How many seconds the echo took."""
    begin = time.monotonic()
    await socket.send(text)
    assert await soon(socket.recv()) == text
    return time.monotonic() - begin
