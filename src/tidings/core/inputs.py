"""What can happen to a session. Every failure is an input, so that clean-up is written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidings.core.codes import CloseCode, UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.events import Publication
from tidings.core.frames import FrameId, Welcome, echo
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.seats import Seat
from tidings.core.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Opened:
    """The transport is open; ``token`` where the query or a cookie held one."""

    token: str | None


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A text frame came."""

    text: str | bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """Some sign of life came that is no frame: a protocol pong."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The credentials are good. ``time`` is the server's wall clock for ``welcome``.

    ``expires_in`` counts seconds from now, so that deadlines use the clock that only grows (F22).
    """

    identity: Identity
    time: str
    expires_in: float | None
    frame_id: FrameId | None = None

    def welcome(self, session_id: str, limits: Limits) -> Welcome:
        """What the client is told of it (R6)."""
        return Welcome(
            user=self.identity.user,
            tenant=self.identity.tenant,
            session=session_id,
            time=self.time,
            heartbeat_seconds=limits.heartbeat_seconds,
            expires_in_seconds=None if self.expires_in is None else int(self.expires_in),
            limits={
                "topics_per_frame": limits.topics_per_frame,
                "topics_per_connection": limits.topics_per_connection,
                "frame_bytes": limits.frame_bytes,
            },
            id=echo(self.frame_id),
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The credentials are not good, or the user has too many connections."""

    fault: PeerError
    frame_id: FrameId | None = None


@dataclass(frozen=True, slots=True)
class Authorized:
    """The answer to Authorize: the topics that are refused, each with its fault."""

    request: int
    faults: Mapping[str, PeerError]
    warnings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Located:
    """The answer to Locate: the last completed fan-out; None for a wildcard."""

    request: int
    subscription: Subscription
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class Attached:
    """The answer to Attach.

    ``start`` is where the subscription begins: the ``since`` itself when ``reason`` is None, with the first
    ``page`` of what was missed; None for a wildcard, or where the broker did not answer.
    """

    subscription: Subscription
    start: Cursor | None
    reason: UnrecoveredReason | None
    page: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class PageRead:
    """The answer to ReadMore: the events after ``subscription.sent``."""

    subscription: Subscription
    page: tuple[Publication, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """What a subscription missed cannot be given whole: it goes on at ``start``, and the client is told."""

    subscription: Subscription
    start: Cursor | None
    reason: UnrecoveredReason


@dataclass(frozen=True, slots=True)
class Stored:
    """The client's event is stored."""

    topic: str
    cursor: Cursor
    frame_id: FrameId | None


@dataclass(frozen=True, slots=True)
class StoreRefused:
    """The client's event was refused, or the broker did not answer."""

    fault: PeerError
    frame_id: FrameId | None


@dataclass(frozen=True, slots=True)
class PresenceAuthorized:
    """The answer to AuthorizePresence; ``fault`` where it is refused."""

    seat: Seat
    fault: PeerError | None


@dataclass(frozen=True, slots=True)
class Ticked:
    """A deadline passed. ``pushed_count`` and ``sees_pongs`` are the sink's."""

    pushed_count: int
    sees_pongs: bool


@dataclass(frozen=True, slots=True)
class Draining:
    """The server goes away: tell the client to move, at a random moment within the delay."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ends the session: by an operator's word, too slow a reader, or a fault of its own."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The transport is closed; ``goodbye`` where the client had said so by a close of its own."""

    goodbye: bool = False


Input = (
    Opened
    | FrameReceived
    | Heard
    | Authenticated
    | Refused
    | Authorized
    | Located
    | Attached
    | PageRead
    | Broken
    | Stored
    | StoreRefused
    | PresenceAuthorized
    | Ticked
    | Draining
    | Ended
    | Gone
)
