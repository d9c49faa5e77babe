"""What a client asks for over HTTP: topics and positions, from the query, the body or ``Last-Event-ID``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.events import nests_too_deep
from tidings.core.frames import FrameId, Subscribe, decode_client_frame
from tidings.core.limits import NESTING_MAX, Limits, exceeds

LAST_EVENT_ID_BYTES_MAX = 4_096  # what we write at most, so that headers stay within every server's bounds
OPENING_TOPICS_MAX = 256  # what our clients name when they open a stream, whatever a connection may hold
BODY_SECONDS_MAX = 10.0  # a body that comes byte by byte holds a connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Topics, and the position of each that has one.

    :ivar frame_id: is echoed in the answers.
    :ivar with_ids: whether an event stream writes ``id:`` lines, for a plain ``EventSource``.
    """

    topics: Sequence[str]
    since: Mapping[str, str]
    frame_id: FrameId | None = None
    presence: bool | None = None
    with_ids: bool = True

    @property
    def frame(self) -> bytes:
        """The same as a ``subscribe`` frame for the session."""
        return msgspec.json.encode(_SubscribeFrame(self.topics, self.since, self.presence, self.frame_id))

    def frames(self, topics_max: int) -> list[bytes]:
        """The same as ``subscribe`` frames of at most so many topics each (0: any number), all with the same id."""
        size = topics_max or len(self.topics) or 1
        chunks = [self.topics[start : start + size] for start in range(0, len(self.topics), size)] or [[]]
        return [
            replace(self, topics=chunk, since={name: self.since[name] for name in chunk if name in self.since}).frame
            for chunk in chunks
        ]


class _SubscribeFrame(msgspec.Struct, tag_field="type", tag="subscribe"):
    topics: Sequence[str]
    since: Mapping[str, str]
    presence: bool | None = None
    id: FrameId | None = None


async def asked_of_stream(request: Request, limits: Limits) -> Asked:
    """``GET ?topics=a,b&since=a=cursor&ids=0``, or ``POST`` with a ``subscribe`` frame.

    A stream that is opened anew takes all its topics along, for its session may be another process's: so the
    opening may name as many as a connection may hold. A ``Last-Event-ID`` holds all positions, and they are newer
    than those of the address, which a plain ``EventSource`` repeats at each reconnect. Raises PeerError
    ``bad_frame``, ``bad_json``, ``too_many_topics``, or those of the body.
    """
    query = _query(request)
    with_ids = query.get("ids", ["1"])[-1] != "0"
    if request.method == "POST":
        body = await read_frame(request, limits)
        frame = decode_client_frame(body)
        if not isinstance(frame, Subscribe):
            raise PeerError(ErrorCode.BAD_FRAME, "The body must be a subscribe frame.", path="type")
        asked = Asked(
            topics=frame.topics, since=frame.since, frame_id=frame.id, presence=frame.presence, with_ids=with_ids
        )
        return _checked(asked, _opening_topics_max(limits))
    topics, since = _from_query(query)
    last_event_id = request.headers.get("last-event-id")
    if last_event_id:
        since = _from_last_event_id(last_event_id)
    return _checked(Asked(topics=topics, since=since, with_ids=with_ids), _opening_topics_max(limits))


def _opening_topics_max(limits: Limits) -> int:
    """0 is no bound. What the connection may not hold is refused topic by topic."""
    if not limits.topics_per_frame:
        return 0
    return max(limits.topics_per_frame, limits.topics_per_connection, OPENING_TOPICS_MAX)


class _PollBody(msgspec.Struct):
    topics: list[str] = []
    since: dict[str, str] = {}
    id: FrameId | None = None
    presence: Any = None
    type: str = "subscribe"


async def asked_of_poll(request: Request, limits: Limits) -> Asked:
    """``GET ?topics=a,b&since=a=cursor``, or ``POST {"topics", "since"?, "id"?}``. Raises PeerError as above."""
    if request.method == "POST":
        value = _decode_poll(await read_frame(request, limits))
        if value.type != "subscribe":
            raise PeerError(
                ErrorCode.BAD_FRAME,
                "A poll asks for topics, and carries no other frame; publish over WebSocket or an event stream.",
                path="type",
            )
        if value.presence:
            raise PeerError(
                ErrorCode.NO_PRESENCE, "Presence is not to be had by polls; use WebSocket or SSE.", path="presence"
            )
        if not value.topics:
            raise _no_topics()
        asked = Asked(topics=value.topics, since=value.since, frame_id=value.id)
    else:
        topics, since = _from_query(_query(request))
        asked = Asked(topics=topics, since=since)
    return _checked(asked, limits.topics_per_frame)


def _decode_poll(body: bytes) -> _PollBody:
    try:
        if nests_too_deep(body):
            raise RecursionError
        return msgspec.json.decode(body, type=_PollBody)
    except RecursionError:
        raise PeerError(ErrorCode.BAD_FRAME, f"The body nests deeper than {NESTING_MAX} levels.") from None
    except msgspec.ValidationError as error:
        raise PeerError(ErrorCode.BAD_FRAME, f"The body is not of the expected shape: {error}.") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PeerError(ErrorCode.BAD_JSON, f"The body is not JSON: {error}.") from None


async def read_frame(request: Request, limits: Limits) -> bytes:
    """One frame as a body: JSON, no larger than a frame may be, and not slower than BODY_SECONDS_MAX.

    Raises PeerError ``unsupported_media_type``, ``body_too_large`` or ``bad_frame``.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or request.headers.get("content-encoding", "identity").lower() != "identity":
        # What a foreign page can send without asking first, such as a form, is kept out by this too.
        raise PeerError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json, without Content-Encoding."
        )
    body = bytearray()
    too_large = PeerError(ErrorCode.BODY_TOO_LARGE, f"The body has more than {limits.frame_bytes} bytes.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and exceeds(int(declared[:20]), limits.frame_bytes):
        raise too_large
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.stream():
                body += chunk
                if exceeds(len(body), limits.frame_bytes):
                    raise too_large
    except TimeoutError:
        raise PeerError(ErrorCode.BAD_FRAME, f"The body did not come within {BODY_SECONDS_MAX:g} s.") from None
    return bytes(body)


def _query(request: Request) -> dict[str, list[str]]:
    # How many fields there may be, the handshake has looked at.
    return parse_qs(request.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def _from_query(query: Mapping[str, list[str]]) -> tuple[list[str], dict[str, str]]:
    topics = [topic for text in query.get("topics", ()) for topic in text.split(",") if topic]
    if not topics:
        raise _no_topics()
    since: dict[str, str] = {}
    for entry in (entry for text in query.get("since", ()) for entry in text.split(",") if entry):
        topic, equals, cursor = entry.partition("=")
        if not equals:
            raise PeerError(ErrorCode.BAD_FRAME, "since must be topic=cursor, several with commas.", path="since")
        since[topic] = cursor
    return topics, since


def _from_last_event_id(text: str) -> dict[str, str]:
    """The positions in our own ``id:``. What is not of our making is left out, for no EventSource could mend it."""
    if len(text) > LAST_EVENT_ID_BYTES_MAX:
        return {}
    entries = (entry.partition("=") for entry in text.split(","))
    return {topic.strip(): cursor.strip() for topic, equals, cursor in entries if equals}


def _checked(asked: Asked, topics_max: int) -> Asked:
    if exceeds(len(asked.topics), topics_max):
        raise PeerError(
            ErrorCode.TOO_MANY_TOPICS,
            f"At most {topics_max} topics at once; these are {len(asked.topics)}.",
        )
    decode_client_frame(asked.frame)  # the rules for an id are the frames'
    return asked


def _no_topics() -> PeerError:
    return PeerError(ErrorCode.BAD_FRAME, "Name a topic: ?topics=gift-list:123.", path="topics")
