"""One connection as a test holds it: every frame takes the way that a real one takes, but for the socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

import msgspec

from tidings.client.errors import ConnectionEnded, PublishFailed, TopicDenied
from tidings.core.codes import ErrorCode, UnrecoveredReason
from tidings.core.errors import PeerError
from tidings.core.events import Event
from tidings.core.identity import Identity
from tidings.core.topics import SYSTEM_TOPIC, TopicKey, is_wildcard
from tidings.engine.node import Node
from tidings.ports import Credentials, CredentialSource
from tidings.testing.identities import VouchingAuthenticator
from tidings.testing.settling import until
from tidings.testing.sink import Frame, KeepingSink

_T = TypeVar("_T")

WAIT_SECONDS = 2.0  # of real time, for what a test expects to come


class NothingCame(AssertionError):
    """What a test waited for did not come in time; the message shows what came instead."""


class SomethingCame(AssertionError):
    """Events came where a test expected none.

    :ivar events: which.
    """

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        shown = ", ".join(f"{one.event} of {one.entity_id} on {one.topic}" for one in events)
        super().__init__(f"{len(events)} events came where none was expected: {shown}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """Where one subscription starts.

    :ivar cursor: None for a wildcard.
    :ivar recovered: whether what was missed since the given cursor follows; ``reason`` says why not.
    :ivar warning: what the developer should know, such as that nothing publishes to this type of topic.
    """

    cursor: str | None
    recovered: bool
    reason: UnrecoveredReason | None = None
    warning: str | None = None


class Client:
    """Made by :func:`tidings.testing.connect`.

    :ivar frames: every frame that came, parsed, in order: ``welcome`` first.
    :ivar answers_pings: set it to False, and the server hears nothing more of this client: after 60 seconds
        of the test's clock it closes with 4408.
    """

    def __init__(self, node: Node) -> None:
        self.answers_pings = True
        self._node = node
        self._sink = KeepingSink(self._pinged, self._closed)
        self._connection = node.connect(self._sink)
        # This connection's own services, so that only it takes the word of the test.
        services = self._connection._services
        self._vouching = VouchingAuthenticator(services.authenticator)
        self._connection._services = replace(services, authenticator=self._vouching)
        self._ids = count(1)
        self._read = 0
        self._gone = False

    @property
    def frames(self) -> list[Frame]:
        """A copy of what came so far."""
        return list(self._sink.frames)

    @property
    def events(self) -> list[Event]:
        """The events among them, received or not."""
        return [msgspec.convert(frame, Event) for frame in self._sink.frames if "type" not in frame]

    @property
    def welcome(self) -> Frame:
        """The last ``welcome``: user, tenant, session, limits."""
        return next(frame for frame in reversed(self._sink.frames) if frame.get("type") == "welcome")

    @property
    def session(self) -> str:
        """The session's id, as ``Exclude(session=...)`` takes it."""
        return self._connection.id

    @property
    def close_code(self) -> int | None:
        """The code with which the server has closed the connection; None while it is open."""
        return None if self._sink.closed is None else self._sink.closed[0]

    # What a client does.

    async def open(self, credentials: Identity | Credentials | str) -> None:
        """Show credentials and wait for ``welcome``. Raises ConnectionEnded where they are refused."""
        if isinstance(credentials, Identity):
            credentials = self._vouching.vouch(credentials)
        if isinstance(credentials, str):
            credentials = Credentials(token=credentials, source=CredentialSource.QUERY)
        self._connection.open(credentials)
        await self._frame(lambda frame: frame.get("type") == "welcome", "welcome", 0)

    async def subscribe(
        self, *topics: str, since: str | Mapping[str, str] | None = None, timeout_seconds: float = WAIT_SECONDS
    ) -> dict[str, Subscribed]:
        """Subscribe, and say where each topic starts. Rules are asked, and tenants kept apart, as for any client.

        :param since: a cursor to recover from, for all topics or by topic; what was missed then arrives as events.

        Raises TopicDenied for the first topic that is refused (the others are subscribed), PeerError for a frame
        that is refused whole, ConnectionEnded, and NothingCame.
        """
        positions = dict.fromkeys(topics, since) if isinstance(since, str) else dict(since or {})
        frame_id, start = self.send(type="subscribe", topics=list(topics), since=positions)
        for frame in await self._answers(frame_id, start, "subscribed", timeout_seconds):
            if frame["topic"] == SYSTEM_TOPIC:
                raise _peer_error(frame)
            raise TopicDenied(frame["topic"], frame["code"], frame["message"])
        answer = next(f for f in self._sink.frames[start:] if f.get("type") == "subscribed" and f.get("id") == frame_id)
        return msgspec.convert(answer["topics"], dict[str, Subscribed])

    async def unsubscribe(self, *topics: str, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Leave topics. Raises PeerError where the frame is refused, ConnectionEnded, and NothingCame."""
        frame_id, start = self.send(type="unsubscribe", topics=list(topics))
        for frame in await self._answers(frame_id, start, "unsubscribed", timeout_seconds):
            raise _peer_error(frame)

    async def publish(
        self,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any = None,
        timeout_seconds: float = WAIT_SECONDS,
        **fields: Any,
    ) -> str:
        """Publish as a page would, and answer the cursor; the rules must allow it to this client.

        :param fields: ``trace_id``, ``version``, ``idempotency_key``.

        Raises PublishFailed, ConnectionEnded and NothingCame.
        """
        data = {"entity_id": str(entity_id), "payload": payload}
        frame_id, start = self.send(type="publish", topic=topic, event=event, data=data, **fields)
        for frame in await self._answers(frame_id, start, "published", timeout_seconds):
            raise PublishFailed(frame["code"], frame["message"])
        return str(next(f for f in self._sink.frames[start:] if f.get("id") == frame_id)["cursor"])

    async def renew(self, credentials: Identity | str, *, timeout_seconds: float = WAIT_SECONDS) -> None:
        """Show new credentials over the living connection, as a page does before a token ends.

        Raises PeerError where they are refused: ``unauthorized``, after which the old ones still hold, or
        ``identity_changed``, after which the connection is closed. Raises ConnectionEnded and NothingCame.
        """
        token = self._vouching.vouch(credentials) if isinstance(credentials, Identity) else credentials
        frame_id, start = self.send(type="auth", token=token)
        for frame in await self._answers(frame_id, start, "welcome", timeout_seconds):
            raise _peer_error(frame)

    def send(self, **frame: Any) -> tuple[int, int]:
        """Send any frame, valid or not, under an ``id`` that is returned with the number of frames so far.

        Raises ConnectionEnded where the connection is closed.
        """
        self._check_open()
        frame_id = next(self._ids)
        start = len(self._sink.frames)
        self._connection.feed(msgspec.json.encode({"id": frame_id, **frame}))
        return frame_id, start

    def close(self) -> None:
        """Go away, as a tab that is closed. A second time it does nothing."""
        if not self._gone:
            self._gone = True
            self._connection.gone()

    # What a test looks for.

    async def receive_event(self, *, timeout_seconds: float = WAIT_SECONDS) -> Event:
        """The next event that was not received yet, recovered ones among them.

        Raises NothingCame, and ConnectionEnded where the connection closed before.
        """

        def next_event() -> Event | None:
            frames = self._sink.frames
            while self._read < len(frames):
                frame = frames[self._read]
                self._read += 1
                if "type" not in frame:
                    return msgspec.convert(frame, Event)
            return None

        return await self._wait(next_event, "event", timeout_seconds)

    async def receive(self, kind: str, *, after: int = 0, timeout_seconds: float = WAIT_SECONDS) -> Frame:
        """The first frame of a type (``pong``, ``error``, ``reconnect``), from the number ``after`` on.

        Raises NothingCame, and ConnectionEnded where the connection closed before.
        """
        return await self._frame(lambda frame: frame.get("type") == kind, kind, after, timeout_seconds)

    async def nothing_arrives(self) -> None:
        """Raise SomethingCame if there is an event that was not received, or one on its way.

        It does not wait for luck: of each topic that this client holds, all that is stored is first brought to
        the connections. What your own code has yet to publish cannot be known: await it before.
        """
        await self.settle()
        unread = [f for f in self._sink.frames[self._read :] if "type" not in f]
        if unread:
            raise SomethingCame([msgspec.convert(frame, Event) for frame in unread])

    async def settle(self) -> None:
        """Return when everything that was published before, on topics that this client holds, has been sent to it.

        Of a wildcard subscription only what this process published can be known. Raises NothingCame where the
        broker does not bring it in time.
        """
        heads = {key: await self._node.publisher.head(key) for key in self._held()}
        feeds = self._node.feeds

        def is_there() -> bool:
            for key, head in heads.items():
                done = feeds.completed(key)
                if done is not None and done.epoch == head.epoch and done.offset < head.offset:
                    return False
            return self._connection._tasks is None or self._sink.closed is not None

        if not await until(is_there, WAIT_SECONDS):
            raise NothingCame(f"the server was still at work after {WAIT_SECONDS} seconds")

    async def closed(self, *, timeout_seconds: float = WAIT_SECONDS) -> int:
        """The code with which the server closes the connection. Raises NothingCame where it does not."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._sink.closed is None:
                    await self._sink.changed()
        except TimeoutError:
            raise NothingCame(self._missing("close", timeout_seconds)) from None
        return self._sink.closed[0]

    # Inside.

    def _held(self) -> list[TopicKey]:
        identity, held = self._connection.session.identity, set[str]()
        if identity is None or self._sink.closed is not None:
            return []
        for frame in self._sink.frames:
            if frame.get("type") == "subscribed":
                held.update(frame["topics"])
            elif frame.get("type") == "unsubscribed":
                held.difference_update(frame["topics"])
        return [TopicKey(identity.tenant, topic) for topic in sorted(held) if not is_wildcard(topic)]

    async def _answers(self, frame_id: int, start: int, kind: str, timeout_seconds: float) -> list[Frame]:
        """Wait for the answer to a frame, and return the errors to it.

        A ``subscribed`` comes after the errors of single topics; a frame that is refused whole has an error alone.
        """

        def is_last(frame: Frame) -> bool:
            if frame.get("id") != frame_id:
                return False
            if frame.get("type") != "error" or kind != "subscribed":
                return True
            return bool(frame["topic"] == SYSTEM_TOPIC)

        await self._frame(is_last, kind, start, timeout_seconds)
        return [f for f in self._sink.frames[start:] if f.get("id") == frame_id and f.get("type") == "error"]

    async def _frame(
        self, fits: Callable[[Frame], bool], name: str, start: int, timeout_seconds: float = WAIT_SECONDS
    ) -> Frame:
        return await self._wait(
            lambda: next((frame for frame in self._sink.frames[start:] if fits(frame)), None), name, timeout_seconds
        )

    async def _wait(self, look: Callable[[], _T | None], name: str, timeout_seconds: float) -> _T:
        try:
            async with asyncio.timeout(timeout_seconds):
                while (found := look()) is None:
                    self._check_open()
                    await self._sink.changed()
        except TimeoutError:
            raise NothingCame(self._missing(name, timeout_seconds)) from None
        return found

    def _missing(self, name: str, timeout_seconds: float) -> str:
        shown = "\n".join(f"  {frame}" for frame in self._sink.frames[-5:]) or "  none"
        return f"no {name} came within {timeout_seconds:g} seconds; the last frames:\n{shown}"

    def _check_open(self) -> None:
        if self._sink.closed is not None:
            code, reason = self._sink.closed
            errors = [frame for frame in self._sink.frames if frame.get("type") == "error"]
            raise ConnectionEnded(reason, code, errors[-1]["message"] if errors else None)
        if self._gone:
            raise ConnectionEnded("closed", None, "this client was closed by the test")

    def _pinged(self) -> None:
        if self.answers_pings:
            asyncio.get_running_loop().call_soon(self._connection.heard)  # a pong never comes in the same moment

    def _closed(self) -> None:
        asyncio.get_running_loop().call_soon(self.close)  # the transport's own end comes after the server's


def _peer_error(frame: Frame) -> PeerError:
    return PeerError(ErrorCode(frame["code"]), frame["message"])
