"""The way out of a connection that has no socket: frames are kept as Python values."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from tidings.core.framing import Framed

Frame = dict[str, Any]


class KeepingSink:
    """Keeps what a server sends (``tidings.ports.Sink``), and wakes who waits for it.

    :param on_ping: called for each protocol ping; a peer that lives answers it with a pong.
    :param on_close: called once, when the server has closed the connection.
    """

    sees_pongs = True

    def __init__(self, on_ping: Callable[[], None], on_close: Callable[[], None]) -> None:
        self.pushed_count = 0
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None
        self._on_ping = on_ping
        self._on_close = on_close
        self._changed = asyncio.Event()

    def push(self, framed: Framed) -> None:
        """Keep an event."""
        self._keep(framed.json)

    def send(self, frame: bytes) -> None:
        """Keep a control frame."""
        self._keep(frame)

    def ping(self) -> None:
        """Hand it on."""
        self._on_ping()

    def close(self, code: int, reason: str) -> None:
        """Keep the code and the reason; nothing is kept after them."""
        if self.closed is None:
            self.closed = (int(code), reason)
            self._changed.set()
            self._on_close()

    async def drained(self) -> None:
        """Nothing ever waits here."""

    async def changed(self) -> None:
        """Return when something came after this call began."""
        self._changed.clear()
        await self._changed.wait()

    def _keep(self, frame: bytes) -> None:
        if self.closed is None:
            self.pushed_count += 1
            self.frames.append(msgspec.json.decode(frame))
            self._changed.set()
