"""The contracts between the floors. Their comments are the semantics: an implementer needs nothing else.

Who implements what: brokers implement :class:`Broker`, and may have a :class:`Presence`; the engine implements
:class:`Receiver` and :class:`PresenceReceiver`; transports implement :class:`Sink`; ``auth`` implements
:class:`Authenticator` and :class:`Authorizer`, and so may users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.events import Draft, Exclude, Publication
from tidings.core.frames import Member
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.numbering import Numbered
from tidings.core.recovery import History
from tidings.core.topics import TopicKey


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to a publish: where the event stands; ``repeated`` when its idempotency key was known."""

    cursor: Cursor
    repeated: bool = False


class PublishNumbered(Protocol):
    """How a source publishes."""

    async def __call__(
        self, draft: Draft, *, tenant: str | None, exclude: Exclude | None, numbered: Numbered
    ) -> Stored:
        """Store one event. Raises PeerError for a bad event, OutOfSequence, and BrokerUnavailable."""
        ...


class Source(Protocol):
    """What publishes by itself while the server runs, such as an outbox's relay."""

    async def start(self, publish: PublishNumbered) -> None:
        """Begin, without waiting for anything that may be down."""
        ...

    async def close(self) -> None:
        """Finish what is under way; ``publish`` is not called after this returns."""
        ...

    def statistics(self) -> dict[str, int]:
        """Plain counters."""
        ...


class Receiver(Protocol):
    """What a broker tells the node. Both methods are called on the event loop, return at once and never raise."""

    def received(self, publication: Publication) -> None:
        """A live message of a joined key. It may be late, repeated or out of order: the receiver sorts that out."""
        ...

    def interrupted(self) -> None:
        """Live messages may have been lost (a connection broke): every joined topic's position is checked."""
        ...


class Broker(Protocol):
    """Stores the events of each topic in order, and tells other nodes that they came.

    The record is the history; live messages are news of it. A broker may lose, repeat, delay or reorder
    live messages, and may be down for a while: then its methods raise BrokerUnavailable within a bounded
    time. It must not: answer a publish before the event is stored, give one (epoch, offset) to two events,
    leave a hole between offsets, or let a key see another key's events.

    An epoch is made once, at random, atomically with the first event or the first ``head`` of a topic;
    a topic whose data was lost or evicted gets a fresh one.
    """

    async def start(self, receiver: Receiver) -> None:
        """Connect. Raises BrokerUnavailable where the broker cannot be reached at all."""
        ...

    async def close(self) -> None:
        """Let go of everything; ``received`` is not called after this returns."""
        ...

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        """Store the event at the next offset, then tell every node that joined the key.

        One atomic step with the idempotency key, which holds per topic key for ``idempotency_seconds``, apart
        from history (trimming spares it): a repeat stores nothing and answers the first cursor.
        ``numbered`` events follow one another by ``core.numbering.place``, in the same atomic step and as long as
        the topic lives: a repeat answers the first cursor, a new epoch drops the history and goes on counting
        offsets, and OutOfSequence is raised for the rest. Calls of one caller are taken in the order of the calls.
        Raises BrokerUnavailable; the event may then be stored or not, and a repeat with the same key is safe.
        """
        ...

    async def join(self, key: TopicKey) -> None:
        """From the return of this call on, live messages of the key are sent to the receiver (none is promised).

        The key may be a wildcard ``type:*``: then those of all topics of the type. Joining twice is once.
        """
        ...

    async def leave(self, key: TopicKey) -> None:
        """Stop what join began. Messages that are under way may still come."""
        ...

    async def head(self, key: TopicKey) -> Cursor:
        """Where the topic's newest event stands; offset 0 in a fresh epoch where there is none."""
        ...

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        """The events after ``since``, oldest first, at most ``limit``, and the head at the same moment.

        Facts, not verdicts: where ``since`` is of another epoch, above the head, or older than what is kept,
        the broker answers the head and no events, or those it has: ``core.recovery.judge`` decides.
        """
        ...


class PresenceReceiver(Protocol):
    """What a presence store tells the node. Called on the event loop; returns at once and never raises.

    It is about the members of *other* nodes alone, and of keys that are watched. To be told a thing twice is harmless.
    """

    def present(self, key: TopicKey, members: Sequence[Member]) -> None:
        """All of them at this moment, in place of what was told before: once after ``watch``, and after a trouble."""
        ...

    def entered(self, key: TopicKey, member: Member) -> None:
        """One has come, or has changed its state."""
        ...

    def exited(self, key: TopicKey, session: str) -> None:
        """One has left, or its node has died."""
        ...


class Presence(Protocol):
    """Who is on which topic, over all nodes of one broker. Not kept: a member lives as long as its node says so.

    ``enter``, ``exit``, ``watch`` and ``unwatch`` return at once, on the event loop, and take effect in their order.
    What cannot be told to the other nodes at the moment is told as soon as it can be, the newest only. The members of
    a node that has died are gone within 30 s. Keys never meet: no tenant sees another's members.
    """

    async def start(self, receiver: PresenceReceiver) -> None:
        """Begin. What is needed for the first member only, such as a file, may be opened with that."""
        ...

    async def close(self) -> None:
        """Let go of everything. This node's members may be seen by the others for 5 s, while clients move over."""
        ...

    def enter(self, key: TopicKey, member: Member) -> None:
        """A member of this node has come, or has changed its state."""
        ...

    def exit(self, key: TopicKey, session: str) -> None:
        """It has left."""
        ...

    def watch(self, key: TopicKey) -> None:
        """From now on the receiver is told of the key's members on other nodes, at first by ``present``."""
        ...

    def unwatch(self, key: TopicKey) -> None:
        """Stop that. What is under way may still come."""
        ...

    async def members(self, key: TopicKey) -> Sequence[Member]:
        """All members of all nodes. Raises BrokerUnavailable."""
        ...


@runtime_checkable
class KeepsPresence(Protocol):
    """A broker that has a presence store of its own."""

    def presence(self) -> Presence:
        """A store beside the broker's events; called once, before either is started."""
        ...


class Sink(Protocol):
    """The way out of one connection. Nothing here waits or raises: what cannot be sent is dropped with it."""

    @property
    def sees_pongs(self) -> bool:
        """Whether protocol pongs reach us, so that silence can be judged here (else the ASGI server does it)."""
        ...

    @property
    def pushed_count(self) -> int:
        """How many frames were pushed so far; the heartbeat looks whether it moved."""
        ...

    def push(self, framed: Framed) -> None:
        """Send an event: the same object for every subscriber."""
        ...

    def send(self, frame: bytes) -> None:
        """Send one control frame, given as JSON."""
        ...

    def ping(self) -> None:
        """Send a protocol ping, where the transport has one."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close after what was pushed before. Later calls do nothing."""
        ...

    async def drained(self) -> None:
        """Return when the backlog is small enough for another page, or the connection is gone."""
        ...


class CredentialSource(StrEnum):
    """How the credentials came; cookies alone are sent by browsers unasked, and need a known origin."""

    QUERY = "query"
    MESSAGE = "message"
    COOKIE = "cookie"
    HEADER = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client shows to say who it is."""

    token: str = field(repr=False)
    source: CredentialSource
    client_address: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Authenticator(Protocol):
    """Credentials to identity."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Say who this is; raise PeerError ``unauthorized``, with a sentence, where the credentials are refused."""
        ...


Action = Literal["subscribe", "publish"]


class Authorizer(Protocol):
    """May this identity do that?

    It may raise PeerError, such as ``unavailable``, where that cannot be found out: the topic is then refused
    with that code, which tells clients whether to ask again.
    """

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        """Whether the identity may subscribe to, or publish on, the topic (``type:*`` included)."""
        ...


@runtime_checkable
class TogetherAuthorizer(Protocol):
    """An authorizer that can be asked for all topics of a frame in one go, as where each question is a call."""

    async def allows_together(
        self, identity: Identity, action: Action, topics: Sequence[str]
    ) -> Mapping[str, bool | PeerError]:
        """For each of the topics whether the identity may do that, or why it cannot be found out; raises nothing."""
        ...


@runtime_checkable
class PresenceAuthorizer(Protocol):
    """An authorizer with rules of its own for presence; without them who may subscribe may be present."""

    async def allows_presence(self, identity: Identity, topic: str) -> bool:
        """Whether the identity, which has subscribed to the topic, may see who is there and be seen."""
        ...


class Lifecycle(Protocol):
    """Is told of sessions as they come and go, polls left out. Called on the event loop; returns at once, never raises.

    ``connected`` comes first, ``disconnected`` last, and that ends the session's subscriptions too: they are not told
    one by one.
    """

    def connected(self, session: str, identity: Identity) -> None:
        """Its credentials are accepted."""
        ...

    def subscribed(self, session: str, topic: str) -> None:
        """The topic's events reach it from now on."""
        ...

    def unsubscribed(self, session: str, topic: str) -> None:
        """It has left the topic, perhaps before it was subscribed; or the topic was taken from it."""
        ...

    def disconnected(self, session: str) -> None:
        """It is over; called for sessions that never were connected, too."""
        ...


class Clock(Protocol):
    """Time, handed in so that tests move it."""

    def monotonic(self) -> float:
        """Seconds that only grow: for deadlines."""
        ...

    def now(self) -> datetime:
        """The wall clock with its zone: for timestamps and expiry."""
        ...


__all__ = [
    "Action",
    "Authenticator",
    "Authorizer",
    "Broker",
    "Clock",
    "CredentialSource",
    "Credentials",
    "Identity",
    "KeepsPresence",
    "Lifecycle",
    "Member",
    "Presence",
    "PresenceAuthorizer",
    "PresenceReceiver",
    "PublishNumbered",
    "Receiver",
    "Sink",
    "Source",
    "Stored",
    "TogetherAuthorizer",
]
