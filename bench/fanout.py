"""What one publication costs in Python, without sockets: the whole way of Tidings, beside the plain manager.

The plain manager is the usual one: a dictionary of topics to users, and an encoded message for each of
them. Both write to sinks that do nothing, in one process, in turns; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import Any

from tidings.brokers.memory import MemoryBroker
from tidings.core.events import draft_from
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.engine.catalog import Catalog
from tidings.engine.clock import SystemClock
from tidings.engine.node import Node, Ports
from tidings.ports import Action, Credentials, CredentialSource

TOPIC = "gift-list:1"
EVENT = {
    "topic": TOPIC,
    "event": "UPDATED",
    "data": {"entity_id": "gift-7", "payload": {"name": "Roller skates", "price": "64.90", "note": "x" * 120}},
}


class Anybody:
    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity(user=credentials.token)

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        return True


class NullSink:
    sees_pongs = True
    pushed_count = 0

    def push(self, framed: Framed) -> None:
        self.last = framed.text

    def send(self, frame: bytes) -> None: ...
    def ping(self) -> None: ...
    def close(self, code: int, reason: str) -> None: ...
    async def drained(self) -> None: ...


class PlainManager:
    """What a FastAPI tutorial has."""

    def __init__(self) -> None:
        self.connections: dict[str, NullSocket] = {}
        self.subscriptions: dict[str, set[str]] = {}

    async def broadcast(self, topic: str, event: dict[str, Any]) -> None:
        for user in self.subscriptions.get(topic, ()):
            if user in self.connections:
                await self.connections[user].send_json(event)


class NullSocket:
    async def send_json(self, event: dict[str, Any]) -> None:
        self.last = json.dumps(event, separators=(",", ":"), ensure_ascii=False)


async def measure(subscribers: int, publications: int, rounds: int) -> dict[str, float]:
    limits = Limits().without_rates()
    anybody, clock = Anybody(), SystemClock()
    broker = MemoryBroker(limits, clock)
    node = Node(
        Ports(broker=broker, authenticator=anybody, authorizer=anybody, clock=clock), limits, Catalog(["gift-list"])
    )
    await node.start()
    plain = PlainManager()
    for number in range(subscribers):
        connection = node.connect(NullSink())
        connection.open(Credentials(token=f"u-{number}", source=CredentialSource.QUERY))
        connection.feed(json.dumps({"type": "subscribe", "topics": [TOPIC]}))
        plain.connections[f"u-{number}"] = NullSocket()
        plain.subscriptions.setdefault(TOPIC, set()).add(f"u-{number}")
    while node.hub.statistics()["subscriptions_live"] < subscribers:  # noqa: ASYNC110 - set-up, not measured
        await asyncio.sleep(0.01)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        for _ in range(publications):
            await node.publisher.publish(draft_from(EVENT))
        ours.append(subscribers * publications / (time.perf_counter() - begin))
        begin = time.perf_counter()
        for _ in range(publications):
            await plain.broadcast(TOPIC, EVENT)
        theirs.append(subscribers * publications / (time.perf_counter() - begin))
    await node.close()
    return {
        "tidings_deliveries_per_second": statistics.median(ours),
        "plain_manager_deliveries_per_second": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--publications", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    result = asyncio.run(measure(options.subscribers, options.publications, options.rounds))
    if options.json:
        print(json.dumps(result))
        return
    print(f"1 topic, {options.subscribers} subscribers, no sockets; medians of {options.rounds} rounds in turns")
    print(f"  tidings        {result['tidings_deliveries_per_second']:>12,.0f} deliveries/s")
    print(f"  plain manager  {result['plain_manager_deliveries_per_second']:>12,.0f} deliveries/s")
    print(f"  ratio          {result['ratio']:>12.1f}")


if __name__ == "__main__":
    main()
