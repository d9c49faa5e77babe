"""The brokers as networks and machines have them: one record for all nodes, and everything that can go wrong with it.

The record is the real memory broker, so what it means to store, trim and forget is not written twice. The way to it
and back is this file's: answers late or lost, live messages lost, repeated, late or out of order, connections that
break, data that are wiped or lose their end.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.simulation.judge import Judge
from tidings.brokers.memory import MemoryBroker
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits
from tidings.core.numbering import Numbered
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.ports import Receiver, Stored
from tidings.testing.virtual import LoopClock


class Planted(Exception):
    """What no contract names: a bug of a driver, or of the application."""


@dataclass(slots=True)
class Troubles:
    """How bad the way to the broker is at the moment.

    :ivar requests_lost, replies_lost, stored_late: how many publishes fail, and which of their ends is unknown.
    :ivar drops, repeats, delays: how many live messages are lost, come twice, or late.
    :ivar surprises: how many calls raise what no contract names.
    :ivar rules_raise, auth_fails: how often the application's own code raises, on the server and on the page.
    """

    latency_seconds: float = 0.0
    slow_seconds: float = 0.0
    requests_lost: float = 0.0
    replies_lost: float = 0.0
    stored_late: float = 0.0
    drops: float = 0.0
    repeats: float = 0.0
    delays: float = 0.0
    surprises: float = 0.0
    rules_raise: float = 0.0
    auth_fails: float = 0.0


class Cluster:
    """The data, which outlive every node, and the nodes that are connected."""

    def __init__(self, limits: Limits, judge: Judge, dice: random.Random, troubles: Troubles) -> None:
        self.judge = judge
        self.dice = dice
        self.troubles = troubles
        self.nodes: list[NodeBroker] = []
        self.tasks: dict[asyncio.Future[None], None] = {}
        self.fenced = False  # the record has lost its end, and takes nothing until its new life has begun
        self.data = MemoryBroker(limits, LoopClock())
        self.data._joined = _Union(self)

    async def start(self) -> None:
        await self.data.start(self)

    def received(self, publication: Publication) -> None:
        """The record tells what was stored."""
        for node in list(self.nodes):
            if publication.key in node.joined or publication.key.wildcard in node.joined:
                node.message(publication)

    def interrupted(self) -> None:
        """Never: it is in this process."""

    async def store(self, key: TopicKey, body: bytes, **more: Any) -> Stored:
        if self.fenced:
            raise BrokerUnavailable("the broker is failing over")
        stored = await self.data.publish(key, body, **more)
        if not stored.repeated and not key.topic.startswith("control:"):  # what nodes tell one another is no event
            topic = (key.tenant, key.topic)
            self.judge.logged(topic, str(stored.cursor), json.loads(body)["data"]["payload"]["n"])
        return stored

    def wipe(self) -> None:
        """As after a restart without data: every topic begins a new life."""
        self.judge.wiped()
        self.data._topics.clear()

    def lose_end(self, count: int) -> None:
        """A replica takes over that had not got the last events; nothing is taken until ``fence``."""
        self.fenced = True
        for key, topic in self.data._topics.items():
            lost = min(count, len(topic.kept))
            for _ in range(lost):
                topic.kept.pop()
            topic.offset -= lost
            if lost:
                self.judge.rolled_back((key.tenant, key.topic), str(topic.head))

    def fence(self) -> None:
        """Those offsets must never name other events: a new life begins."""
        self.fenced = False
        self.wipe()


class _Union(set[TopicKey]):
    """What any node has joined: the record tells, and keeps, what somebody listens to."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__()
        self._cluster = cluster

    def __contains__(self, key: object) -> bool:
        return any(key in node.joined for node in self._cluster.nodes)


class NodeBroker:
    """One node's connection to the cluster (``tidings.ports.Broker``)."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._dice = cluster.dice
        self._receiver: Receiver | None = None
        self.joined: dict[TopicKey, None] = {}
        self.down = False
        self.deaf = False  # its connection for live messages is broken
        self._missed: dict[TopicKey, None] = {}
        self.drop_next = 0  # so many live messages are lost, whatever the weather

    async def start(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._cluster.nodes.append(self)

    async def close(self) -> None:
        self.kill()

    def kill(self) -> None:
        """The process is gone."""
        self._receiver = None
        self.joined.clear()
        if self in self._cluster.nodes:
            self._cluster.nodes.remove(self)

    def mend(self) -> None:
        """The connection for live messages is back."""
        self.deaf = False
        if self._receiver is not None:
            self._receiver.interrupted()

    def message(self, publication: Publication) -> None:
        """A live message sets out for this node."""
        troubles = self._cluster.troubles
        draw = self._dice.random()
        if self.deaf or draw < troubles.drops or self.drop_next:
            self.drop_next = max(0, self.drop_next - 1)
            self._cluster.judge.count("message lost")
            self._missed[publication.key] = None
            return
        draw -= troubles.drops
        copies = 2 if draw < troubles.repeats else 1
        late_seconds = self._dice.uniform(0, 3) if self._dice.random() < troubles.delays else 0.0
        for _ in range(copies):
            seconds = late_seconds
            if troubles.latency_seconds:
                seconds += self._dice.expovariate(1 / troubles.latency_seconds)
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._arrived, publication)
            else:
                self._arrived(publication)

    def _arrived(self, publication: Publication) -> None:
        if self._receiver is not None and not self.deaf:
            self._receiver.received(publication)

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        more = {"exclude": exclude, "idempotency_key": idempotency_key, "numbered": numbered}
        await self._way()
        troubles = self._cluster.troubles
        draw = self._dice.random()
        if draw < troubles.requests_lost:
            self._cluster.judge.count("publish lost")
            raise BrokerUnavailable("the request was lost")
        draw -= troubles.requests_lost
        if draw < troubles.stored_late:
            self._cluster.judge.count("publish stored late")
            asyncio.get_running_loop().call_later(self._dice.uniform(0, 2), self._store_late, key, body, more)
            raise BrokerUnavailable("no answer in time")
        draw -= troubles.stored_late
        stored = await self._cluster.store(key, body, **more)
        if stored.repeated:
            self._cluster.judge.count("publish repeated")
        await self._way()
        if draw < troubles.replies_lost:
            self._cluster.judge.count("reply lost")
            raise BrokerUnavailable("the reply was lost")
        return stored

    def _store_late(self, key: TopicKey, body: bytes, more: dict[str, Any]) -> None:
        async def store() -> None:
            with suppress(BrokerUnavailable):  # then it never was
                await self._cluster.store(key, body, **more)

        task = asyncio.ensure_future(store())
        self._cluster.tasks[task] = None
        task.add_done_callback(lambda done: self._cluster.tasks.pop(done, None))

    async def join(self, key: TopicKey) -> None:
        await self._way()
        self.joined[key] = None
        await self._way()

    async def leave(self, key: TopicKey) -> None:
        await self._way()
        self.joined.pop(key, None)

    async def head(self, key: TopicKey) -> Cursor:
        await self._way()
        head = await self._cluster.data.head(key)
        await self._way()
        return head

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        await self._way()
        history = await self._cluster.data.history(key, since, limit)
        if history.publications and key in self._missed:
            del self._missed[key]
            self._cluster.judge.count("gap fetched")
        await self._way()  # the answer was made before it comes
        return history

    async def _way(self) -> None:
        """To the broker, or back."""
        troubles, dice = self._cluster.troubles, self._dice
        if troubles.latency_seconds:
            await asyncio.sleep(dice.expovariate(1 / troubles.latency_seconds))
        else:
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
        if troubles.slow_seconds and dice.random() < 0.1:
            await asyncio.sleep(dice.uniform(0, troubles.slow_seconds))
        if self.down or self._receiver is None:
            raise BrokerUnavailable("the broker is down")
        if troubles.surprises and dice.random() < troubles.surprises:
            self._cluster.judge.count("surprise")
            raise Planted("a driver's own bug")
