"""A topic with 50,000 subscribers holds the loop only for moments; many idle subscriptions cost little."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from typing import Any, cast

from tests.fast_links import Connection, Path
from tidings import Limits, Tidings
from tidings.core.framing import Framed
from tidings.core.hub import Hub
from tidings.core.identity import Identity
from tidings.core.subscription import Subscription
from tidings.core.topics import TopicKey
from tidings.testing import connect
from tidings.transports.handshake import Decision

SUBSCRIBERS = 50_000
HELD_SECONDS_MAX = 0.020
TOPIC = "user:ana"


WRITE_SECONDS = 4e-6  # what the system call of a write takes


class Taking:
    """A transport that takes everything, at the price of a system call, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def write(self, data: bytes) -> None:
        self.count += 1
        until = time.perf_counter() + WRITE_SECONDS
        while time.perf_counter() < until:
            pass


class Listener:
    """A session that only listens."""

    id = "s"
    user: str | None = None

    def push(self, framed: Framed) -> None: ...

    def holds(self, topic: str) -> bool:
        return False


async def longest_turn(until: Any) -> float:
    """The processor time of the longest turn of the loop, in seconds: another process's time does not count."""
    longest, begin = 0.0, time.thread_time()
    while not until():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, begin = max(longest, now - begin), now
    return longest


async def test_fifty_thousand_links_on_one_topic() -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token))
    async with connect(live, user="ana") as ana:
        await ana.subscribe(TOPIC)
        path, transport, connections = Path(cast(Any, live._clock), Limits()), Taking(), set[Any]()
        key = TopicKey(None, TOPIC)
        for _ in range(SUBSCRIBERS):
            link = path.link(cast(Any, transport), connections)
            link.open(Decision(None, None))
            subscription = Subscription(cast(Connection, link._connection).session, key)
            subscription.go_live()
            live.node.hub.go_live(subscription)
        gc.collect()
        gc.freeze()  # the collector's own pauses are not what is measured here
        try:
            publishing = asyncio.ensure_future(live.publish(TOPIC, "UPDATED", entity_id="1"))
            longest = await longest_turn(lambda: transport.count == SUBSCRIBERS)
        finally:
            gc.unfreeze()
        await publishing
        assert longest < HELD_SECONDS_MAX, f"one turn took {longest * 1_000:.1f} ms"
        path.turn.clear()


def seconds_to_join_and_leave(hub: Hub, count: int) -> float:
    key = TopicKey(None, "a:1")
    subscriptions = [Subscription(Listener(), key) for _ in range(count)]
    begin = time.process_time()
    for subscription in subscriptions:
        hub.hold(subscription)
        hub.go_live(subscription)
    for subscription in reversed(subscriptions):
        hub.remove(subscription)
    return time.process_time() - begin


def test_joining_and_leaving_cost_the_same_however_many_there_are() -> None:
    empty, full = Hub(Limits()), Hub(Limits())
    for number in range(100_000):
        full.go_live(Subscription(Listener(), TopicKey(None, f"a:{number % 50_000 + 1}")))
    full.go_live(Subscription(Listener(), TopicKey(None, "a:1")))
    seconds_to_join_and_leave(empty, 5_000)
    before = min(seconds_to_join_and_leave(empty, 20_000) for _ in range(3))
    after = min(seconds_to_join_and_leave(full, 20_000) for _ in range(3))
    assert after < before * 4


def test_an_idle_subscription_costs_little_in_the_hub() -> None:
    hub, listener, count = Hub(Limits()), Listener(), 100_000
    tracemalloc.start()
    try:
        subscriptions = []
        for number in range(count):
            subscription = Subscription(listener, TopicKey(None, f"gift-list:{number % 1_000}"))
            subscription.go_live()
            hub.go_live(subscription)
            subscriptions.append(subscription)
        used_bytes = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert hub.statistics()["subscriptions_live"] == len(subscriptions)
    assert used_bytes < 450, f"{used_bytes:.0f} bytes"
