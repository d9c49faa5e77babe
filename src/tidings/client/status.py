"""How the connection is, and who is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger("tidings.client")

ENDED = frozenset({"blocked", "failed", "closed"})
"""States that no waiting ends."""


@dataclass(frozen=True, slots=True)
class Status:
    """The connection of one moment.

    :ivar state: ``idle``, ``connecting``, ``live``, ``reconnecting``, ``paused``, ``blocked``, ``failed``, ``closed``.
    :ivar reason: why, such as ``lost`` or ``unauthorized``; None where all is well.
    :ivar code: the close code, for developers.
    :ivar attempt: failed tries in a row.
    :ivar transport: what carries the events, ``websocket``, ``sse`` or ``poll``; None while not live.
    :ivar refetching: no transport is left at the moment: fetch anew now and then what you hold.
    :ivar next_try_at: when it is dialled again, in seconds as of ``time.time()``; None where no pause runs.
    """

    state: str = "idle"
    reason: str | None = None
    code: int | None = None
    attempt: int = 0
    transport: str | None = None
    refetching: bool = False
    next_try_at: float | None = None


class StatusBoard:
    """The status of this moment, for who looks, who listens, and who waits for the next."""

    def __init__(self) -> None:
        self.now = Status()
        self._listeners: list[Callable[[Status], None]] = []
        self._changed = asyncio.Event()

    def show(self, status: Status) -> None:
        """Tell a new status. A listener that raises goes into the log, and the others are told."""
        self.now = status
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in tuple(self._listeners):
            try:
                listener(status)
            except Exception:
                log.exception("a listener of the status raised")

    def listen(self, listener: Callable[[Status], None]) -> Callable[[], None]:
        """Call it at each change, until the function that is returned is called."""

        def own(status: Status) -> None:
            listener(status)  # one function may listen twice, and each has its own end

        self._listeners.append(own)

        def off() -> None:
            if own in self._listeners:
                self._listeners.remove(own)

        return off

    async def change(self) -> None:
        """Return at the next change."""
        await self._changed.wait()
