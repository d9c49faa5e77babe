"""What every transport offers: one attempt at a connection, which may end at any time and is never reused."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tidings.client.addresses import Address

log = logging.getLogger("tidings.client")

FRAME_BYTES_MAX = 16 * 1024 * 1024  # from the server: an answer for thousands of topics fits

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dial:
    """What a connection begins with.

    :ivar generation: goes with every input, for the machine hears only the newest.
    :ivar token: of no use on WebSocket, where the machine sends it as the first frame.
    :ivar subscribe: the first question, where it travels with the dial.
    :ivar feed: gets inputs of the machine.
    :ivar room: is awaited between frames: while it waits, the server is not read.
    :ivar warn: is told what the developer should know of the network.
    """

    address: Address
    generation: int
    token: str | None
    subscribe: Frame
    feed: Callable[[dict[str, Any]], None]
    room: Callable[[], Awaitable[None]]
    warn: Callable[[str], None]


class Link(ABC):
    """One connection, dialled when it is made. Its work is in tasks; what fails in one ends the link.

    :ivar cause: why it could not be opened or went, in words, where that is known.
    """

    faults: tuple[type[Exception], ...] = (OSError, EOFError, UnicodeError)
    """What a network may do; anything else is a mistake of ours, and goes into the log with its trace."""

    def __init__(self, dial: Dial) -> None:
        self.cause: str | None = None
        self._dial = dial
        self._over = False
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    def send(self, frame: Frame) -> None:
        """Send a frame after those before it."""

    def drop(self, code: int) -> asyncio.Task[None]:
        """Listen no more; the task that is returned says good-bye and ends by itself. Harmless when it is over."""
        self._over = True
        for task in self._tasks:
            task.cancel()
        return asyncio.create_task(self._leave(code))

    async def _leave(self, code: int) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        await self._close(code)

    @abstractmethod
    async def _close(self, code: int) -> None:
        """Give back what is open, when nothing runs any more. Never raises."""

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # a failure is an input, whatever it is: a task that dies would tell nobody
            if not isinstance(error, self.faults):
                log.exception("the connection failed unexpectedly")
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.cause = str(error) or type(error).__name__
        self._end(None)

    def _tell(self, frame: Frame | None) -> None:
        if self._over:
            return
        self.cause = _complaint(frame)
        self._feed({"input": "frame", "frame": frame})

    def _end(self, code: int | None) -> None:
        """It is lost; told once, and not after ``drop``."""
        if not self._over:
            self._feed({"input": "lost", "code": code})
            self._over = True

    def _feed(self, input: dict[str, Any]) -> None:
        if not self._over:
            self._dial.feed({**input, "generation": self._dial.generation})


def parse_frame(text: str | bytes) -> dict[str, Any] | None:
    """A frame of the server's; None for what is no JSON object."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return value if isinstance(value, dict) else None


def _complaint(frame: Frame | None) -> str | None:
    """The words of an error that answers no frame of ours: it tells why the close that follows."""
    if frame is None or frame.get("type") != "error" or "id" in frame:
        return None
    message = frame.get("message")
    return message if isinstance(message, str) else None
