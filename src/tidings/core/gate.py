"""What one client may send: how large, how often, and how often wrong. Time is handed in.

A fault that carries a close code ends the connection; any other is answered and forgotten.
"""

from __future__ import annotations

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.frames import Auth, ClientFrame, FrameError, FrameId, decode_client_frame, size_bytes
from tidings.core.limits import Limits, exceeds
from tidings.core.pacing import TokenBucket

Text = str | bytes


class Gate:
    """Reads frames, and counts them."""

    __slots__ = ("_bad_frames", "_frames", "_limits", "_publishes", "_waiting")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._waiting: list[Text] = []
        self._frames = TokenBucket(limits.frames_per_second, limits.frames_per_second * 2, now)
        # Made when they are first needed, for most connections need neither.
        self._publishes: TokenBucket | None = None
        self._bad_frames: TokenBucket | None = None

    def read_first(self, text: Text) -> Auth:
        """The frame before any credentials: ``auth``, and small. Raises FrameError, always with a close code."""
        bound = self._limits.frame_bytes_before_auth
        if exceeds(size_bytes(text), bound):
            raise _fatal(
                ErrorCode.UNAUTHORIZED,
                f"The frame before authentication has more than {bound} bytes.",
                CloseCode.TOO_LARGE,
            )
        try:
            frame = decode_client_frame(text)
        except FrameError as fault:
            fault.close = fault.close or CloseCode.UNAUTHORIZED
            raise
        if not isinstance(frame, Auth):
            raise _fatal(
                ErrorCode.UNAUTHORIZED,
                "The first frame must be auth with a token, for the connection came without credentials.",
                CloseCode.UNAUTHORIZED,
                frame.id,
            )
        return frame

    def keep(self, text: Text) -> None:
        """A frame that came while the credentials are checked. Raises FrameError when there are too many."""
        waiting_bytes = sum(map(size_bytes, self._waiting))
        if exceeds(len(self._waiting) + 1, self._limits.waiting_frames) or exceeds(
            waiting_bytes + size_bytes(text), self._limits.frame_bytes
        ):
            raise _fatal(
                ErrorCode.RATE_LIMITED,
                "Too many frames came before the credentials were checked.",
                CloseCode.TOO_MANY_REQUESTS,
            )
        self._waiting.append(text)

    def kept(self) -> list[Text]:
        """What was kept, once."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def read(self, text: Text, now: float) -> ClientFrame:
        """A frame of a client that is known. Raises FrameError."""
        limits = self._limits
        if exceeds(size_bytes(text), limits.frame_bytes):
            raise _fatal(
                ErrorCode.BAD_FRAME, f"The frame has more than {limits.frame_bytes} bytes.", CloseCode.TOO_LARGE
            )
        if not self._frames.take(now):
            raise _fatal(
                ErrorCode.RATE_LIMITED,
                f"More than {limits.frames_per_second} frames a second came.",
                CloseCode.TOO_MANY_REQUESTS,
            )
        return decode_client_frame(text)

    def count_bad(self, fault: PeerError, now: float) -> None:
        """Another bad frame; too many of them are a fuzzer, or a client in a loop: the fault gets a close code."""
        if self._bad_frames is None:
            per_minute = self._limits.bad_frames_per_minute
            self._bad_frames = TokenBucket(per_minute / 60, per_minute, now)
        if fault.close is None and not self._bad_frames.take(now):
            fault.close = CloseCode.TOO_MANY_REQUESTS

    def check_publish(self, topic: str, now: float) -> None:
        """Raise PeerError when the client publishes too often."""
        if self._publishes is None:
            per_second = self._limits.publishes_per_second
            self._publishes = TokenBucket(per_second, per_second * 2, now)
        if not self._publishes.take(now):
            raise PeerError(
                ErrorCode.RATE_LIMITED,
                f"More than {self._limits.publishes_per_second} publishes a second came; slow down.",
                topic=topic,
            )


def _fatal(code: ErrorCode, message: str, close: CloseCode, frame_id: FrameId | None = None) -> FrameError:
    return FrameError(PeerError(code, message, close=close), frame_id)
