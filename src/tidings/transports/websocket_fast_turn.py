"""What one turn of the event loop has for many connections, joined: one write for each of them.

The frames that wait for a connection are a place in a tree of sequences. Connections that got the same frames
stand at the same place, so the bytes are joined once for all of them, and a single frame is never copied.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from tidings.ports import Clock

SLICE_SECONDS = 0.005  # writing holds the loop no longer than this at a time
SLICE_LINKS = 128  # and looks at the clock after so many


class Joined:
    """A sequence of frames. ``then`` is nearly free where another connection has gone the same way.

    :ivar next: the sequence that was asked for last, with ``next_frame`` behind this one; None before that.
    """

    __slots__ = ("_before", "_data", "_frame", "next", "next_frame", "size_bytes")

    def __init__(self, before: Joined | None = None, frame: bytes = b"") -> None:
        self.size_bytes: int = len(frame) if before is None else before.size_bytes + len(frame)
        self._before = before
        self._frame = frame
        self._data: bytes | None = None
        self.next_frame: bytes | None = None
        self.next: Joined | None = None

    def then(self, frame: bytes) -> Joined:
        """The sequence with this frame behind it; the same object for the same frame, asked one after the other."""
        following = self.next
        if following is None or self.next_frame is not frame:
            following = self.next = Joined(self, frame)
            self.next_frame = frame
        return following

    @property
    def data(self) -> bytes:
        """The frames in one piece."""
        if self._data is None:
            self._data = b"".join(reversed(self.frames_backwards()))
        return self._data

    def frames_backwards(self) -> list[bytes]:
        """The frames, the last one first."""
        frames: list[bytes] = []
        place: Joined | None = self
        while place is not None:
            if place._frame:
                frames.append(place._frame)
            place = place._before
        return frames


class Flushed(Protocol):
    """A connection that has something to write."""

    def flush(self) -> None:
        """Write what waits. Must not raise."""
        ...


class Turn:
    """The connections that got something in this turn of the loop; all of them are written at its end."""

    __slots__ = ("_clock", "_links", "_start")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._links: deque[Flushed] = deque()
        self._start = Joined()

    def begin(self, link: Flushed, frame: bytes) -> Joined:
        """The first frame for a connection; ``link.flush()`` is called soon, once for each call of this."""
        if not self._links:
            asyncio.get_running_loop().call_soon(self._flush)
        self._links.append(link)
        start = self._start
        return start.next if start.next is not None and start.next_frame is frame else start.then(frame)

    def clear(self) -> None:
        """Forget what waited: the loop that should have written it is no more."""
        self._links.clear()
        self._start = Joined()

    def _flush(self) -> None:
        self._start = Joined()  # what has been begun goes on from where it stands; nothing old is kept alive
        links = self._links
        until = self._clock.monotonic() + SLICE_SECONDS
        while links:
            for _ in range(min(SLICE_LINKS, len(links))):
                links.popleft().flush()
            if links and self._clock.monotonic() >= until:
                asyncio.get_running_loop().call_soon(self._flush)
                return
