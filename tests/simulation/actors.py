"""Who lives in the simulated world: a server that crashes, and clients that run the real client machine."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from tests.simulation.judge import Judge
from tests.simulation.network import Weather, Wire, WireSink
from tests.unit.engine.rig import Allow, FaultyBroker, Tokens
from tidings.client.machine import Machine, Options
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.engine.node import Node, Ports
from tidings.ports import Broker, Credentials, CredentialSource
from tidings.testing.virtual import LoopClock


class Server:
    """One node; after a crash another takes its place, on the same broker's data."""

    def __init__(self, data: Broker, limits: Limits, turns: list[int], faults: list[str]) -> None:
        self.data = data
        self._limits = limits
        self._turns = turns
        self._faults = faults
        self.node: Node | None = None
        self.broker: FaultyBroker | None = None
        self.wires: dict[Wire, None] = {}  # no set: their order must be that of the seed

    async def start(self) -> None:
        broker = self.broker = FaultyBroker(self.data, self._turns, self._faults)
        ports = Ports(broker=broker, authenticator=Tokens(), authorizer=Allow(), clock=LoopClock())
        node = Node(ports, self._limits, Catalog(["gift-list"]))
        await node.start()
        self.node = node

    async def crash(self) -> None:
        """``kill -9``: no good-bye, and what was in memory is gone."""
        node, self.node = self.node, None
        for wire in list(self.wires):
            wire.cut()
        if node is not None:
            for wire in self.wires:
                wire.tell_server = lambda: None
            await node.feeds.close()
            node._ticker.close()
        self.wires.clear()

    def accept(self, wire: Wire, token: str) -> None:
        node = self.node
        assert node is not None
        sink = WireSink(wire)
        connection = node.connect(sink)
        self.wires[wire] = None

        def hear(frame: str) -> None:
            if frame == "pong":
                connection.heard()
            else:
                connection.feed(frame)

        def gone() -> None:
            self.wires.pop(wire, None)
            connection.gone()

        wire.to_server = hear
        wire.tell_server = gone
        connection.open(Credentials(token=token, source=CredentialSource.QUERY))


class Client:
    """The real machine over a simulated link; its handlers report to the judge."""

    def __init__(
        self, name: str, tenant: str | None, server: Server, judge: Judge, dice: random.Random, weather: Weather
    ) -> None:
        self.name = name
        self.tenant = tenant
        self._server = server
        self._judge = judge
        self._dice = dice
        self._weather = weather
        self._machine = Machine(Options(topic_linger_ms=0))
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._asleep = False
        self._missed: list[Callable[[], None]] = []
        self.wire: Wire | None = None
        self.following: dict[str, int] = {}
        self._last_number = 0

    async def follow(self, topic: str) -> None:
        """Subscribe from where the data stands that this client has; at first it is fetched, with its cursor."""
        if topic in self.following:
            return
        self._last_number += 1
        self.following[topic] = self._last_number
        since = self._judge.positions.get((self.name, (self.tenant, topic)))
        if since is None:
            since = str(await self._server.data.head(TopicKey(self.tenant, topic)))
            self._judge.starts(self.name, (self.tenant, topic), since)
        number = self.following.get(topic)
        if number is not None:
            since_by_topic = {topic: since}
            self._feed({"input": "subscribe", "subscriber": number, "topics": [topic], "since": since_by_topic})

    def unfollow(self, topic: str) -> None:
        number = self.following.pop(topic, None)
        if number is not None:
            self._feed({"input": "unsubscribe", "subscriber": number})

    def sleep(self) -> None:
        """The lid is closed: nothing runs here, and the network goes on."""
        self._asleep = True

    def wake(self) -> None:
        """Everything that was due happens at once, and the page notices."""
        self._asleep = False
        missed, self._missed = self._missed, []
        for act in missed:
            act()
        self._feed({"input": "online"})

    def _feed(self, input: dict[str, Any]) -> None:
        if self._asleep:
            self._missed.append(lambda: self._feed(input))
            return
        now_ms = asyncio.get_running_loop().time() * 1_000
        for effect in self._machine.handle(input, now_ms, self._dice.random()):
            getattr(self, f"_on_{effect['effect']}", lambda _: None)(effect)

    def _on_dial(self, effect: dict[str, Any]) -> None:
        generation = effect["generation"]
        wire = self.wire = Wire(self._dice, self._weather)

        def connected() -> None:
            if self._server.node is None or self._dice.random() < self._weather.refuses:
                wire.open = False
                self._feed({"input": "lost", "generation": generation, "code": None})
                return
            token = self.name if self.tenant is None else f"{self.name}@{self.tenant}"
            self._server.accept(wire, token)
            self._feed({"input": "open", "generation": generation})

        def hear(frame: str) -> None:
            if frame == "ping":
                wire.up("pong")
            else:
                self._feed({"input": "frame", "generation": generation, "frame": json.loads(frame)})

        wire.to_client = hear
        wire.tell_client = lambda code: self._feed({"input": "lost", "generation": generation, "code": code})
        asyncio.get_running_loop().call_later(self._weather.latency_seconds, connected)

    def _on_drop(self, effect: dict[str, Any]) -> None:
        if self.wire is not None:
            self.wire.to_client = lambda _: None
            self.wire.tell_client = lambda _: None
            self.wire.close(by_client=True, code=None)
            self.wire = None

    def _on_send(self, effect: dict[str, Any]) -> None:
        if self.wire is not None:
            self.wire.up(json.dumps(effect["frame"]))

    def _on_timer(self, effect: dict[str, Any]) -> None:
        name = effect["name"]
        self._on_cancel(effect)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(effect["ms"] / 1_000, self._feed, {"input": "timer", "name": name})

    def _on_cancel(self, effect: dict[str, Any]) -> None:
        handle = self._timers.pop(effect["name"], None)
        if handle is not None:
            handle.cancel()

    def _on_flush(self, effect: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self._feed, {"input": "flush"})

    def _on_deliver(self, effect: dict[str, Any]) -> None:
        self._judge.delivered(self.name, (self.tenant, effect["topic"]), effect["event"])

    def _on_gap(self, effect: dict[str, Any]) -> None:
        self._judge.told(self.name, (self.tenant, effect["topic"]), effect["reason"], effect["cursor"])

    def stop(self) -> None:
        for handle in self._timers.values():
            handle.cancel()
