"""Every frame of the wire but the event's own, one struct each: decode what clients send, encode what they get.

``spec/frames.schema.json`` states the same; ``spec/vectors`` hold both to it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.events import Draft, Event, draft_from, nests_too_deep
from tidings.core.limits import ID_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MAX, NESTING_MAX
from tidings.core.topics import SYSTEM_TOPIC, check_topic, is_wildcard

FrameId = int | str
_ID_INTEGER_MAX = 2**53 - 1


# What clients send.


class Subscribe(msgspec.Struct, frozen=True):
    """Ask for topics, each from a position where ``since`` names one."""

    topics: list[str]
    since: dict[str, str] = {}
    presence: bool | None = None
    id: FrameId | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """Leave topics; what is not held is left all the same."""

    topics: list[str]
    id: FrameId | None = None


class Ping(msgspec.Struct, frozen=True):
    """Ask for a pong."""

    id: FrameId | None = None


class Auth(msgspec.Struct, frozen=True):
    """Give credentials, at first or anew."""

    token: str
    id: FrameId | None = None


class Publish(msgspec.Struct, frozen=True):
    """Publish an event, where the rules allow it to clients."""

    draft: Draft
    idempotency_key: str | None = None
    id: FrameId | None = None


class Presence(msgspec.Struct, frozen=True):
    """Be present on a topic, with a state; or be it no longer."""

    topic: str
    state: dict[str, Any] | None = None
    leave: bool | None = None
    id: FrameId | None = None


ClientFrame = Subscribe | Unsubscribe | Ping | Auth | Publish | Presence


class FrameError(PeerError):
    """A frame that was refused, with the ``id`` to answer, where it could be read."""

    def __init__(self, fault: PeerError, frame_id: FrameId | None) -> None:
        super().__init__(fault.code, fault.message, topic=fault.topic, close=fault.close, path=fault.path)
        self.frame_id = frame_id


class _Envelope(msgspec.Struct):
    type: str
    id: FrameId | None = None


def size_bytes(text: str | bytes) -> int:
    """How many bytes the frame has on the wire, which limits count; characters can be a quarter of that."""
    if isinstance(text, bytes) or text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def decode_client_frame(text: str | bytes) -> ClientFrame:
    """Read a client's frame; raise FrameError with the code that it must get, and nothing else, ever."""
    frame_id: FrameId | None = None
    try:
        # Both ways check the whole text: msgspec does not look at the UTF-8 of fields that it skips.
        raw = text.encode() if isinstance(text, str) else text.decode().encode()
        if nests_too_deep(raw):
            raise PeerError(ErrorCode.BAD_FRAME, f"The frame nests deeper than {NESTING_MAX} levels.")
        envelope = _decode(raw, _Envelope)
        frame_id = _checked_id(envelope.id)
        if envelope.type == "publish":
            return _decode_publish(raw, frame_id)
        if envelope.type == "presence":
            return _decode_presence(raw)
        kind = _CLIENT_FRAMES.get(envelope.type)
        if kind is None:
            raise PeerError(
                ErrorCode.UNKNOWN_TYPE,
                f"{envelope.type[:40]!r} is no type of frame; "
                "use subscribe, unsubscribe, ping, auth, publish or presence.",
            )
        return _decode(raw, kind)
    except UnicodeError:
        fault = PeerError(ErrorCode.BAD_JSON, "The frame is not UTF-8.", close=CloseCode.INVALID_DATA)
        raise FrameError(fault, frame_id) from None
    except PeerError as fault:
        raise FrameError(fault, frame_id) from None


_CLIENT_FRAMES: dict[str, type[Subscribe | Unsubscribe | Ping | Auth]] = {
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "ping": Ping,
    "auth": Auth,
}
_T = TypeVar("_T")


def _decode(raw: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except RecursionError:
        raise PeerError(ErrorCode.BAD_FRAME, f"The frame nests deeper than {NESTING_MAX} levels.") from None
    except msgspec.ValidationError as error:  # JSON, but not of this shape; its text names the path
        raise PeerError(ErrorCode.BAD_FRAME, f"The frame is not of the expected shape: {error}.") from None
    except msgspec.DecodeError as error:
        raise PeerError(ErrorCode.BAD_JSON, f"The frame is not JSON: {error}.") from None


def _decode_publish(raw: bytes, frame_id: FrameId | None) -> Publish:
    value = _decode(raw, dict[str, Any])
    key = value.get("idempotency_key")
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX):
        raise PeerError(
            ErrorCode.BAD_FRAME,
            f"idempotency_key must be a string of 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters.",
            path="idempotency_key",
        )
    return Publish(draft_from(value), key, frame_id)


def _decode_presence(raw: bytes) -> Presence:
    frame = _decode(raw, Presence)
    if is_wildcard(frame.topic):
        message = f"Nobody can be present on {frame.topic}, for it is many topics; name one of them."
        raise PeerError(ErrorCode.NO_PRESENCE, message, topic=frame.topic)
    check_topic(frame.topic)
    return frame


def _checked_id(value: FrameId | None) -> FrameId | None:
    if isinstance(value, str) and len(value) > ID_LENGTH_MAX:
        raise PeerError(ErrorCode.BAD_FRAME, f"id must be an integer or at most {ID_LENGTH_MAX} characters.", path="id")
    if isinstance(value, int) and abs(value) > _ID_INTEGER_MAX:
        raise PeerError(ErrorCode.BAD_FRAME, "id must be an integer of at most 2^53-1, or a string.", path="id")
    return value


# What clients get.


class ServerFrame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A frame that the server sends; every one has a ``type`` and a ``topic``."""

    _encoder: ClassVar[msgspec.json.Encoder] = msgspec.json.Encoder()

    def encode(self) -> bytes:
        """As compact JSON."""
        return self._encoder.encode(self)


class Welcome(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="welcome"):
    """You are connected: this is who the server takes you for (R6)."""

    topic: str = SYSTEM_TOPIC
    protocol: int = 1
    user: str
    tenant: str | None
    session: str
    time: str
    heartbeat_seconds: int
    expires_in_seconds: int | None
    limits: dict[str, int]
    id: FrameId | UnsetType = UNSET


class TopicAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where one subscription starts, and whether what was missed follows."""

    cursor: str | None
    recovered: bool
    reason: str | UnsetType = UNSET
    warning: str | UnsetType = UNSET


class Subscribed(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """The answer to a subscribe; without ``id``, news that a live topic broke."""

    topic: str = SYSTEM_TOPIC
    topics: dict[str, TopicAnswer]
    id: FrameId | UnsetType = UNSET


class Unsubscribed(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="unsubscribed"):
    """The answer to an unsubscribe; with ``reason``, news that topics were taken away."""

    topic: str = SYSTEM_TOPIC
    topics: list[str]
    reason: str | UnsetType = UNSET
    id: FrameId | UnsetType = UNSET


class Error(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """Something was refused: which, why, and what to do."""

    code: str
    message: str
    topic: str = SYSTEM_TOPIC
    retry_after_ms: int | UnsetType = UNSET
    id: FrameId | UnsetType = UNSET

    @classmethod
    def of(cls, fault: PeerError, frame_id: FrameId | None, topic: str | None = None) -> Self:
        """The answer to the frame with this id.

        :param topic: as the client sent it, however long, for it knows by it which of its topics is meant; by default
            the one that the fault names, if any.
        """
        about = (fault.topic or SYSTEM_TOPIC) if topic is None else topic
        return cls(code=fault.code.value, message=fault.message, topic=about, id=echo(frame_id))


class Pong(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """The answer to a ping; unsolicited, the server's heartbeat."""

    topic: str = SYSTEM_TOPIC
    id: FrameId | UnsetType = UNSET


class Published(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="published"):
    """The event is stored, at this cursor."""

    topic: str
    cursor: str
    id: FrameId | UnsetType = UNSET


class Reconnect(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="reconnect"):
    """The server goes away: come back after a random part of this delay."""

    topic: str = SYSTEM_TOPIC
    delay_ms: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One connection that is present: its session, whose it is, and what it says of itself, as compact JSON."""

    session: str
    user: str
    state: msgspec.Raw


class Members(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="members"):
    """Who is present: the truth of this moment, in place of all before. Without ``members`` the count alone is news."""

    topic: str
    members: list[Member] | UnsetType = UNSET
    count: int
    complete: bool


class Joined(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="joined"):
    """These have come, or have changed their state."""

    topic: str
    members: list[Member]


class Left(ServerFrame, frozen=True, kw_only=True, tag_field="type", tag="left"):
    """These are present no longer."""

    topic: str
    sessions: list[str]


AnyServerFrame = Welcome | Subscribed | Unsubscribed | Error | Pong | Published | Reconnect | Members | Joined | Left


def echo(frame_id: FrameId | None) -> FrameId | UnsetType:
    """The ``id`` of an answer: that of the question, or no field at all."""
    return UNSET if frame_id is None else frame_id


class _Kind(msgspec.Struct):
    type: str | None = None


_KNOWN_SERVER_TYPES = frozenset(
    {
        "welcome", "subscribed", "unsubscribed", "error", "pong", "published", "reconnect", "members", "joined", "left",
    }
)  # fmt: skip


def decode_server_frame(text: str | bytes) -> AnyServerFrame | Event | None:
    """Read a server's frame, for clients: an Event has no ``type``; None is a type of a newer server, to ignore.

    Raises ValueError for what is no frame.
    """
    try:
        kind = msgspec.json.decode(text, type=_Kind).type
        if kind is None:
            return msgspec.json.decode(text, type=Event)
        if kind not in _KNOWN_SERVER_TYPES:
            return None
        frame: AnyServerFrame = msgspec.json.decode(text, type=AnyServerFrame)
        return frame
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ValueError(f"not a frame of the wire: {error}") from error
