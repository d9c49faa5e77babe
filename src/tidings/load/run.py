"""A whole load: ramp up, publish at a pace, wait for the last event, close the books."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tidings.client.addresses import Address
from tidings.load.dialing import Refused
from tidings.load.ledger import Account
from tidings.load.publishers import HttpPublisher, NotPublished, Publisher, SocketPublisher
from tidings.load.report import Connections, Report, Times
from tidings.load.subscriber import Subscriber
from tidings.load.tally import Tally

OPENING_MAX = 100  # handshakes at the same time
UNDER_WAY_MAX = 1_000  # publications without an answer
_GLANCE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server.

    :ivar tokens: of the subscribers, who take them in turns.
    :ivar publisher_token: may publish; used where there is no API key.
    :ivar topics: the subscribers, and the publications, take them in turns.
    :ivar ramp: connections a second; 0: as fast as they are let in.
    :ivar rate: publications a second, on all topics together.
    :ivar padding_bytes: in every payload, beside its mark.
    :ivar patience_seconds: without news for so long at the end: what is missing is lost.
    """

    address: Address
    tokens: Sequence[str]
    publisher_token: str | None
    api_key: str | None
    topics: Sequence[str]
    connections: int
    ramp: float
    rate: float
    seconds: float
    padding_bytes: int
    patience_seconds: float


@dataclass(slots=True)
class Progress:
    """How far it is; read while it runs."""

    phase: str = "connecting"
    opened: int = 0
    failed: int = 0
    published: int = 0
    received: int = 0
    dropped: int = 0
    share: float = 0.0  # of the phase


Notify = Callable[[Progress], None]


@dataclass(slots=True)
class _Run:
    load: Load
    notify: Notify
    tally: Tally = field(default_factory=lambda: Tally(secrets.token_hex(8)))
    subscribers: list[Subscriber] = field(default_factory=list)
    publish_seconds: float = 0.0
    connect_seconds: float = 0.0

    def tell(self, phase: str, share: float) -> None:
        tally = self.tally
        published = sum(tally.published.values())
        self.notify(
            Progress(phase, tally.opened, tally.not_opened, published, tally.received, tally.dropped, min(share, 1.0))
        )

    async def connect_all(self) -> None:
        """At the pace of the ramp; who is refused is counted, not dialled again."""
        load, slots = self.load, asyncio.Semaphore(OPENING_MAX)
        begun = time.monotonic()
        async with asyncio.TaskGroup() as opening:
            for number in range(load.connections):
                if load.ramp:
                    await _until(begun + number / load.ramp)
                await slots.acquire()
                token, topic = load.tokens[number % len(load.tokens)], load.topics[number % len(load.topics)]
                subscriber = Subscriber(load.address.websocket, token, topic, self.tally)
                opening.create_task(self._open(subscriber, slots))
                self.tell("connecting", number / load.connections)
        self.connect_seconds = time.monotonic() - begun

    async def _open(self, subscriber: Subscriber, slots: asyncio.Semaphore) -> None:
        try:
            await subscriber.open()
        except Refused as error:
            self.tally.not_opened += 1
            self.tally.errors[str(error)] += 1
            await subscriber.close()
        else:
            self.tally.opened += 1
            self.subscribers.append(subscriber)
        finally:
            slots.release()
            self.tell("connecting", (self.tally.opened + self.tally.not_opened) / self.load.connections)

    async def publish_all(self, publisher: Publisher) -> None:
        """At a steady pace, whatever comes back: a latency counts from when its publication was due."""
        load, under_way = self.load, set[asyncio.Task[None]]()
        begun, begun_ns = time.monotonic(), time.monotonic_ns()
        for count in range(round(load.rate * load.seconds)):
            due_seconds = count / load.rate
            await _until(begun + due_seconds)
            while len(under_way) >= UNDER_WAY_MAX:
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            topic = load.topics[count % len(load.topics)]
            self.tally.published[topic] += 1
            mark = {
                "run": self.tally.run_id,
                "number": self.tally.published[topic],
                "due_ns": begun_ns + round(due_seconds * 1e9),
                "padding": "x" * load.padding_bytes,
            }
            task = asyncio.create_task(self._publish(publisher, topic, mark))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            self.tell("publishing", due_seconds / load.seconds)
        if under_way:
            await asyncio.wait(under_way)
        self.publish_seconds = time.monotonic() - begun

    async def _publish(self, publisher: Publisher, topic: str, mark: dict[str, object]) -> None:
        try:
            await publisher.publish(topic, mark)
        except NotPublished as error:
            number = mark["number"]
            assert isinstance(number, int)
            self.tally.failed[topic].add(number)
            self.tally.errors[f"publish: {error}"] += 1

    async def wait_for_last(self) -> None:
        """Return when everybody has everything, or nothing has come for a while."""
        news, received, patience_seconds = time.monotonic(), self.tally.received, self.load.patience_seconds
        while not all(map(self._has_all, self.subscribers)) and time.monotonic() - news < patience_seconds:
            await asyncio.sleep(_GLANCE_SECONDS)
            if self.tally.received != received:
                news, received = time.monotonic(), self.tally.received
            self.tell("waiting for the last events", (time.monotonic() - news) / patience_seconds)

    def _has_all(self, one: Subscriber) -> bool:
        return one.left_at is not None or one.ledger.has_all(
            self.tally.published[one.topic], self.tally.failed[one.topic]
        )

    async def close_all(self) -> None:
        """End all connections."""
        await asyncio.gather(*(subscriber.close() for subscriber in self.subscribers))

    def report(self, cpu_share: float) -> Report:
        """The books, closed."""
        tally, load = self.tally, self.load
        accounts = [(one, self._account(one)) for one in self.subscribers]
        expected = sum(account.received + account.lost + account.told for _, account in accounts)
        failed = sum(map(len, tally.failed.values()))
        return Report(
            url=load.address.text,
            connections=Connections(
                wanted=load.connections,
                opened=tally.opened,
                failed=tally.not_opened,
                seconds=round(self.connect_seconds, 3),
                dropped=tally.dropped,
                recovered=tally.recovered,
                gone=sum(one.left_at is not None for one in self.subscribers),
                setup_ms=Times.of(tally.setup),
            ),
            published=sum(tally.published.values()) - failed,
            publish_failed=failed,
            publish_seconds=round(self.publish_seconds, 3),
            expected=expected,
            received=sum(account.received for _, account in accounts),
            lost=sum(account.lost for _, account in accounts),
            told=sum(account.told for _, account in accounts),
            doubled=sum(account.doubled for _, account in accounts),
            reordered=sum(account.reordered for _, account in accounts),
            foreign=tally.foreign,
            latency_ms=Times.of(tally.latency),
            errors=dict(tally.errors.most_common()),
            load_cpu_share=round(cpu_share, 3),
        )

    def _account(self, one: Subscriber) -> Account:
        published = self.tally.published[one.topic] if one.left_at is None else one.left_at
        return one.ledger.close(published, self.tally.failed[one.topic])


async def run(load: Load, notify: Notify) -> Report:
    """Carry a load out and say what came of it. Raises Refused where the publisher is not let in."""
    one = _Run(load, notify)
    cpu_share = 0.0
    try:
        async with _publisher(load) as publisher:
            await one.connect_all()
            if one.subscribers:
                begun, cpu_begun = time.monotonic(), time.process_time()
                await one.publish_all(publisher)
                cpu_share = (time.process_time() - cpu_begun) / (time.monotonic() - begun)
                await one.wait_for_last()
        return one.report(cpu_share)
    finally:
        await one.close_all()


def _publisher(load: Load) -> Publisher:
    if load.api_key is not None:
        return HttpPublisher(load.address, load.api_key)
    assert load.publisher_token is not None
    return SocketPublisher(load.address, load.publisher_token)


async def _until(moment: float) -> None:
    delay_seconds = moment - time.monotonic()
    await asyncio.sleep(max(delay_seconds, 0))
