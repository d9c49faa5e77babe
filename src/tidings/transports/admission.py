"""Over HTTP a refusal is a status: what a session says first decides which.

A session answers credentials with ``welcome``, or with ``error`` and a close. Nothing is sent until one of
them has come: so the status line tells the fault, and the checks are the same as for a WebSocket.
"""

from __future__ import annotations

import asyncio

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.events import Event
from tidings.core.frames import AnyServerFrame, Error, Welcome
from tidings.core.topics import SYSTEM_TOPIC


class Admission:
    """The outcome of one session's credentials."""

    def __init__(self) -> None:
        self._decided: asyncio.Future[PeerError | None] = asyncio.get_running_loop().create_future()
        self._fault: PeerError | None = None

    async def fault(self) -> PeerError | None:
        """Why the session was refused; None when it is welcome. Waits until that is known."""
        return await self._decided

    def look(self, frame: AnyServerFrame | Event | None) -> None:
        """The session sends this."""
        if self._decided.done():
            return
        if isinstance(frame, Welcome):
            self._decided.set_result(None)
        elif isinstance(frame, Error):
            topic = None if frame.topic == SYSTEM_TOPIC else frame.topic
            self._fault = PeerError(ErrorCode(frame.code), frame.message, topic=topic)

    def closed(self, code: int) -> None:
        """The session ends."""
        if not self._decided.done():
            self._decided.set_result(self._fault or _fault_of(code))


def _fault_of(code: int) -> PeerError:
    """For a session that ends without a word."""
    if code == CloseCode.SERVICE_RESTART:
        return PeerError(ErrorCode.UNAVAILABLE, "The server restarts; come back in a moment.")
    return PeerError(ErrorCode.UNAUTHORIZED if code == CloseCode.UNAUTHORIZED else ErrorCode.INTERNAL)
