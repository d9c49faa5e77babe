"""What a session asks its driver to do. Values: a test compares them, a simulation reorders them.

The driver (``engine/connection.py``) carries them out in order. Those marked *later* await something, and
answer with an input of :mod:`.inputs`; the others are done at once, in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidings.core.codes import CloseCode, UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.events import Draft, Publication
from tidings.core.frames import FrameId, ServerFrame
from tidings.core.seats import Seat
from tidings.core.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Send:
    """Send one frame."""

    frame: ServerFrame


@dataclass(frozen=True, slots=True)
class Replay:
    """Send one missed event, in the order of these effects."""

    publication: Publication


@dataclass(frozen=True, slots=True)
class SendPing:
    """Send a protocol ping, where the transport has one."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection after what was sent before."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class Authenticate:
    """*Later*: check the token; answer Authenticated or Refused with the same ``frame_id``."""

    token: str
    frame_id: FrameId | None


@dataclass(frozen=True, slots=True)
class Authorize:
    """*Later*: may the user subscribe to these; answer Authorized with the same ``request``."""

    request: int
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attach:
    """*Later*: hold the subscription in the hub, then find out where it starts; answer Attached.

    With a ``since`` that cannot be recovered, the reason is the history's; without one it is ``reason``.
    """

    subscription: Subscription
    since: Cursor | None
    reason: UnrecoveredReason


@dataclass(frozen=True, slots=True)
class Locate:
    """Say how far the fan-out of a live subscription's topic has come; answer Located at once."""

    request: int
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class ReadMore:
    """*Later*: when the sink has drained, read history after ``subscription.sent``; answer PageRead or Broken."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class GoLive:
    """Make the subscription live in the hub, in the same step as the sends before it."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Detach:
    """Take the subscription out of the hub and let go of its feed."""

    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Store:
    """*Later*: may the user publish it, and store it; answer Stored or StoreRefused with the same ``frame_id``."""

    draft: Draft
    idempotency_key: str | None
    frame_id: FrameId | None


@dataclass(frozen=True, slots=True)
class AuthorizePresence:
    """*Later*: may the user be present; answer PresenceAuthorized."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Enter:
    """The session is present on the topic with the seat's state, or has changed it; ``members`` follow at first."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Leave:
    """It is present no longer.

    :ivar is_held: its connection was lost, and may be back in a moment: the others need not see that.
    """

    seat: Seat
    is_held: bool


Effect = (
    Send | Replay | SendPing | Close | Authenticate | Authorize | Attach | Locate | ReadMore | GoLive | Detach | Store
    | AuthorizePresence | Enter | Leave
)  # fmt: skip
