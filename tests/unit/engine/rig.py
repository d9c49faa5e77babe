"""A node without sockets, on virtual time: what goes in and what comes out are Python values."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tidings.brokers.memory import MemoryBroker
from tidings.core.codes import ErrorCode
from tidings.core.errors import BrokerUnavailable, PeerError
from tidings.core.events import Exclude, Publication, draft_from
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.numbering import Numbered
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.engine.node import Node, Ports
from tidings.ports import Action, Broker, Credentials, CredentialSource, Receiver, Stored
from tidings.testing.virtual import LoopClock

Frame = dict[str, Any]


class RecordingSink:
    """Keeps what is sent."""

    def __init__(self, *, sees_pongs: bool = True) -> None:
        self.sees_pongs = sees_pongs
        self.pushed_count = 0
        self.frames: list[Frame] = []
        self.pings = 0
        self.closed: tuple[int, str] | None = None
        self.drain: asyncio.Event | None = None

    def push(self, framed: Framed) -> None:
        self._keep(framed.json)

    def send(self, frame: bytes) -> None:
        self._keep(frame)

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (int(code), reason)

    async def drained(self) -> None:
        if self.drain is not None:
            await self.drain.wait()

    def _keep(self, frame: bytes) -> None:
        if self.closed is None:
            self.pushed_count += 1
            self.frames.append(json.loads(frame))


class Client:
    """One connection as a test holds it."""

    def __init__(self, node: Node, *, token: str | None, sink: RecordingSink | None = None) -> None:
        self.sink = sink or RecordingSink()
        self.connection = node.connect(self.sink)
        credentials = None if token is None else Credentials(token=token, source=CredentialSource.QUERY)
        self.connection.open(credentials)

    def send(self, **frame: Any) -> None:
        self.connection.feed(json.dumps(frame))

    @property
    def frames(self) -> list[Frame]:
        return self.sink.frames

    def of(self, kind: str | None) -> list[Frame]:
        """Frames of one type; None for events."""
        return [frame for frame in self.frames if frame.get("type") == kind]

    @property
    def offsets(self) -> list[int]:
        """The offsets of the events that came, in order."""
        return [int(frame["cursor"].rpartition("-")[2]) for frame in self.of(None)]

    async def until(self, condition: Callable[[], Any], turns: int = 20_000) -> None:
        for _ in range(turns):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"never came true; the last frames: {self.frames[-5:]}")

    async def answer(self, frame_id: int | str) -> Frame:
        await self.until(lambda: any(frame.get("id") == frame_id for frame in self.frames))
        return next(frame for frame in reversed(self.frames) if frame.get("id") == frame_id)


class Tokens:
    """``user`` or ``user@tenant`` is a good token; ``...!60`` expires in 60 seconds; ``bad`` is refused."""

    delay: asyncio.Event | None = None

    async def authenticate(self, credentials: Credentials) -> Identity:
        if self.delay is not None:
            await self.delay.wait()
        token, _, ttl = credentials.token.partition("!")
        user, _, tenant = token.partition("@")
        if user == "bad":
            raise PeerError(ErrorCode.UNAUTHORIZED, "The token is not good.")
        expires_at = None if not ttl else LoopClock().now().timestamp() + float(ttl)
        return Identity(user=user, tenant=tenant or None, expires_at=expires_at)


@dataclass
class Allow:
    """Allows all but the denied topics; publishing only where listed."""

    denied: set[str] = field(default_factory=set)
    publishing: set[str] = field(default_factory=set)

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        await asyncio.sleep(0)
        return topic in self.publishing if action == "publish" else topic not in self.denied


@dataclass
class Rig:
    node: Node
    broker: Broker
    rules: Allow
    tokens: Tokens

    def client(self, token: str | None = "u-1", **options: Any) -> Client:
        return Client(self.node, token=token, **options)

    async def publish(
        self, topic: str, number: int = 0, *, tenant: str | None = None, exclude: Exclude | None = None, note: str = ""
    ) -> str:
        payload = {"n": number, "note": note} if note else number
        draft = draft_from({"topic": topic, "event": "UPDATED", "data": {"entity_id": "e", "payload": payload}})
        return str((await self.node.publisher.publish(draft, tenant=tenant, exclude=exclude)).cursor)

    async def settle(self, turns: int = 200) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)


@asynccontextmanager
async def started(
    *,
    limits: Limits | None = None,
    broker: Broker | None = None,
    topics: Iterable[str] | None = None,
    wrap: Callable[[Broker], Broker] | None = None,
) -> AsyncIterator[Rig]:
    limits = limits or Limits()
    clock = LoopClock()
    broker = broker or MemoryBroker(limits, clock)
    broker = wrap(broker) if wrap else broker
    rules, tokens = Allow(), Tokens()
    ports = Ports(broker=broker, authenticator=tokens, authorizer=rules, clock=clock)
    node = Node(ports, limits, Catalog(topics))
    await node.start()
    try:
        yield Rig(node, broker, rules, tokens)
    finally:
        await node.close()


class FaultyBroker:
    """A broker as networks have them: late answers; live messages lost, repeated, late; at times down.

    ``turns`` and ``faults`` are cycled through, so that a failing example shrinks to a short list.
    """

    def __init__(self, inner: Broker, turns: list[int], faults: list[str]) -> None:
        self.inner = inner
        self.down = False
        self._turns = itertools.cycle(turns)
        self._faults = itertools.cycle(faults)
        self._receiver: Receiver | None = None
        self.lost = 0

    async def _late(self) -> None:
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)
        if self.down:
            raise BrokerUnavailable("the broker is down")

    def received(self, publication: Publication) -> None:
        assert self._receiver is not None
        match next(self._faults):
            case "drop":
                self.lost += 1
            case "twice":
                self._receiver.received(publication)
                self._receiver.received(publication)
            case "late":
                self._soon(publication, next(self._turns) + 1)
            case _:
                self._receiver.received(publication)

    def _soon(self, publication: Publication, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._soon, publication, turns - 1)
        elif self._receiver is not None:
            self._receiver.received(publication)

    def interrupted(self) -> None:
        assert self._receiver is not None
        self._receiver.interrupted()

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        await self.inner.start(self)

    async def close(self) -> None:
        self._receiver = None
        await self.inner.close()

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        return await self.inner.publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)

    async def join(self, key: TopicKey) -> None:
        await self._late()
        await self.inner.join(key)

    async def leave(self, key: TopicKey) -> None:
        await self._late()
        await self.inner.leave(key)

    async def head(self, key: TopicKey) -> Any:
        head = await self.inner.head(key)
        await self._late()
        return head

    async def history(self, key: TopicKey, since: Any, limit: int) -> History:
        if next(self._turns) % 2:
            await self._late()
            return await self.inner.history(key, since, limit)
        history = await self.inner.history(key, since, limit)
        await self._late()  # the answer was made long before it comes
        return history
