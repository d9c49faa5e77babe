"""One WebSocket: dialled once, dropped at once, never waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

log = logging.getLogger("tidings.client")

FRAME_BYTES_MAX = 16 * 1024 * 1024  # from the server: an answer for thousands of topics fits
CLOSE_SECONDS = 2.0
DEFAULT_PATH = "/realtime"


def websocket_url(url: str) -> str:
    """``wss://host/realtime/ws`` from what the application gives. Raises ValueError for what is no address.

    Takes http, https, ws and wss; with the prefix, with the whole path, or with the host alone.
    """
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is not an address; write it as https://app.example.com")
    path = parts.path.rstrip("/") or DEFAULT_PATH
    if not path.endswith("/ws"):
        path += "/ws"
    return urlunsplit((scheme, parts.netloc, path, parts.query, ""))


class Link:
    """Reads and writes one connection in two tasks, and tells what happens by one function.

    :param feed: gets inputs of the machine, each with this link's generation.
    :param room: is awaited between frames: while it waits, the server is not read.
    :ivar cause: why it could not be opened, or what the server said last, where that was an error about the
        connection; None where neither.
    """

    def __init__(
        self,
        url: str,
        generation: int,
        feed: Callable[[dict[str, Any]], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._url = url
        self._generation = generation
        self._feed = feed
        self._room = room
        self.cause: str | None = None
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._connection: ClientConnection | None = None
        self._dropped = False
        self._reader = asyncio.create_task(self._run())

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame after those before it."""
        self._outgoing.put_nowait(msgspec.json.encode(frame))

    def drop(self, code: int) -> asyncio.Task[None]:
        """Listen no more; the task that is returned says good-bye and ends by itself."""
        self._dropped = True
        self._reader.cancel()
        return asyncio.create_task(self._say_goodbye(code))

    async def _run(self) -> None:
        code: int | None = None
        try:
            # The machine's own timers bound the dial and find silence.
            connection = await connect(
                self._url, compression=None, max_size=FRAME_BYTES_MAX, open_timeout=None, ping_interval=None
            )
            self._connection = connection
            self._tell({"input": "open"})
            writer = asyncio.create_task(self._write(connection))
            try:
                async for message in connection:
                    frame = _parse(message)
                    self.cause = _complaint(frame)
                    self._tell({"input": "frame", "frame": frame})
                    await self._room()
            finally:
                writer.cancel()
            code = connection.close_code
        except Exception as error:  # a failure is an input, whatever it is: a task that dies would tell nobody
            if not isinstance(error, OSError | EOFError | WebSocketException | UnicodeError):
                log.exception("the connection failed unexpectedly")
            if self._connection is None:
                self.cause = str(error) or type(error).__name__
            else:
                code = self._connection.close_code
        self._tell({"input": "lost", "code": None if code == 1006 else code})

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                await connection.send((await self._outgoing.get()).decode())
        except (OSError, WebSocketException):
            return  # the reader is told too

    async def _say_goodbye(self, code: int) -> None:
        await asyncio.wait([self._reader])
        connection = self._connection
        if connection is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await connection.close(code if code >= 3000 else 1000)
        except (OSError, WebSocketException, TimeoutError):
            connection.transport.abort()

    def _tell(self, input: dict[str, Any]) -> None:
        if not self._dropped:
            self._feed({**input, "generation": self._generation})


def _complaint(frame: dict[str, Any] | None) -> str | None:
    """The words of an error that answers no frame of ours: it tells why the close that follows."""
    if frame is None or frame.get("type") != "error" or "id" in frame:
        return None
    message = frame.get("message")
    return message if isinstance(message, str) else None


def _parse(message: str | bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(message)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None
