"""Where one session is present, or wants to be: a seat for each topic.

A session without presence has none of this. A seat is asked for before its topic is held (its state waits), then
the rules are asked, then it is taken; it ends with its subscription at the latest.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.frames import FrameId, Presence
from tidings.core.limits import Limits, exceeds
from tidings.core.pacing import TokenBucket
from tidings.core.topics import TopicKey

EMPTY = msgspec.Raw(b"{}")

# Closes after which the client is not expected back in a moment, or has been away for long already.
FINAL_CLOSES = frozenset({CloseCode.NORMAL, CloseCode.UNAUTHORIZED, CloseCode.FORBIDDEN, CloseCode.TIMEOUT})

# How clients close that leave on purpose: by an application's close, or a tab's. Not 1005, by which ASGI servers also
# tell of a connection that was lost.
GOODBYES = frozenset({1000, 1001})


class SeatState(Enum):
    """Where a seat is in its life."""

    WAITING = "waiting"  # its topic's subscribe is under way
    ASKED = "asked"  # the rules are being asked
    TAKEN = "taken"


class Seat:
    """One topic on which the session is present, or will be.

    :ivar state: what it says of itself, as compact JSON.
    :ivar frame_id: of the frame that asked for it, for a refusal.
    """

    __slots__ = ("frame_id", "key", "standing", "state")

    def __init__(self, key: TopicKey, frame_id: FrameId | None) -> None:
        self.key = key
        self.frame_id = frame_id
        self.state = EMPTY
        self.standing = SeatState.WAITING


class Seats:
    """Topic to seat."""

    __slots__ = ("_by_topic", "_limits", "_states")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_topic: dict[str, Seat] = {}
        self._states: TokenBucket | None = None

    def get(self, topic: str) -> Seat | None:
        """The seat of a topic, if there is one."""
        return self._by_topic.get(topic)

    def ask(self, key: TopicKey, frame_id: FrameId | None) -> Seat:
        """The seat of a topic, made where there is none."""
        seat = self._by_topic.get(key.topic)
        if seat is None:
            seat = self._by_topic[key.topic] = Seat(key, frame_id)
        return seat

    def drop(self, topic: str) -> Seat | None:
        """Give the seat up. Returns it where it was taken, for then the others must be told."""
        seat = self._by_topic.pop(topic, None)
        return None if seat is None or seat.standing is not SeatState.TAKEN else seat

    def all(self) -> list[str]:
        """The topics."""
        return list(self._by_topic)

    def too_often(self, topic: str, now: float) -> PeerError | None:
        """The fault of one more state at this moment, if it is one."""
        per_second = self._limits.presence_per_second
        if self._states is None:
            self._states = TokenBucket(per_second, per_second * 2, now)
        if self._states.take(now):
            return None
        message = f"More than {per_second} states a second came; send the newest now and then."
        return PeerError(ErrorCode.RATE_LIMITED, message, topic=topic)

    def read_state(self, frame: Presence) -> msgspec.Raw | None:
        """The frame's state as compact JSON; None where it names none. Raises PeerError where it is too large."""
        return None if frame.state is None else _encoded(frame.state, frame.topic, self._limits.presence_state_bytes)


def _encoded(state: dict[str, Any], topic: str, bytes_max: int) -> msgspec.Raw:
    text = msgspec.json.encode(state)
    if exceeds(len(text), bytes_max):
        raise PeerError(
            ErrorCode.BAD_FRAME,
            f"state has {len(text)} bytes, and {bytes_max} is the limit; publish what is larger as an event.",
            topic=topic,
            path="state",
        )
    return msgspec.Raw(text)


def no_presence(topic: str, message: str | None = None) -> PeerError:
    """The refusal: by default of a wildcard, on which nobody can be."""
    said = message or f"Nobody can be present on {topic}, for it is many topics; subscribe to one of them by its name."
    return PeerError(ErrorCode.NO_PRESENCE, said, topic=topic)
