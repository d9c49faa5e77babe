"""What waits for one connection whose peer does not take it fast enough: bounded in bytes and in age."""

from __future__ import annotations

from collections import deque

CHUNK_BYTES = 65_536  # handed to the transport at once: what it holds cannot be taken back


class Backlog:
    """Frames in order, and how old the oldest may be. Time is handed in.

    Exists only while something waits: a connection whose peer reads has none.

    :ivar bytes: what waits here; what the transport holds is counted by itself.
    :ivar held_back: whether the transport's own buffer is full: then nothing may be written.
    """

    __slots__ = ("_frames", "_mark_at", "_mark_put_bytes", "_put_bytes", "bytes", "held_back")

    def __init__(self, transport_bytes: int, now: float) -> None:
        self._frames: deque[bytes] = deque()
        self.bytes = 0
        self.held_back = True
        self._put_bytes = transport_bytes
        self._mark_put_bytes = transport_bytes
        self._mark_at = now

    def put(self, frame: bytes) -> None:
        """Add one frame."""
        self._frames.append(frame)
        self.bytes += len(frame)
        self._put_bytes += len(frame)

    def take(self) -> bytes:
        """The next frames in one piece, as many as the transport is given at once; empty when there are none."""
        taken: list[bytes] = []
        size_bytes = 0
        while self._frames and (not taken or size_bytes + len(self._frames[0]) <= CHUNK_BYTES):
            frame = self._frames.popleft()
            taken.append(frame)
            size_bytes += len(frame)
        self.bytes -= size_bytes
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def drop(self) -> None:
        """Forget what waits: its reader recovers by its cursors."""
        self._frames.clear()
        self._put_bytes -= self.bytes
        self.bytes = 0

    def age_seconds(self, transport_bytes: int, now: float) -> float:
        """How long something has waited, at least: since the last look that found all of it gone."""
        sent_bytes = self._put_bytes - self.bytes - transport_bytes
        if sent_bytes >= self._mark_put_bytes:  # all that waited at the mark has gone out
            self._mark_put_bytes = self._put_bytes
            self._mark_at = now
        return now - self._mark_at
