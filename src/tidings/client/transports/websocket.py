"""A link over WebSocket: dialled once, dropped at once, never waited for."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tidings.client.transports.link import FRAME_BYTES_MAX, Dial, Frame, Link, parse_frame

CLOSE_SECONDS = 2.0
_ABNORMAL = 1006  # of our own library's making: nobody sent it


class WebSocketLink(Link):
    """Reads and writes one connection in two tasks."""

    faults = (*Link.faults, WebSocketException)

    def __init__(self, dial: Dial) -> None:
        super().__init__(dial)
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._connection: ClientConnection | None = None
        self._start(self._read)

    def send(self, frame: Frame) -> None:
        """Send a frame after those before it."""
        self._outgoing.put_nowait(msgspec.json.encode(frame))

    async def _read(self) -> None:
        # The machine's own timers bound the dial and find silence.
        connection = await connect(
            self._dial.address.websocket,
            compression=None, max_size=FRAME_BYTES_MAX, open_timeout=None, ping_interval=None,
        )  # fmt: skip
        self._connection = connection
        self._feed({"input": "open"})
        self._start(partial(self._write, connection))
        async for message in connection:
            self._tell(parse_frame(message))
            await self._dial.room()
        self._end(self._close_code)

    def _failed(self, error: Exception) -> None:
        if self._connection is None:
            super()._failed(error)
        else:
            self._end(self._close_code)  # what the server said last, if anything, is the cause

    @property
    def _close_code(self) -> int | None:
        code = None if self._connection is None else self._connection.close_code
        return None if code == _ABNORMAL else code

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                await connection.send((await self._outgoing.get()).decode())
        except self.faults:
            return  # the reader is told too

    async def _close(self, code: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close(code if code >= 3000 else 1000)
        except (OSError, WebSocketException, TimeoutError):
            connection.transport.abort()
