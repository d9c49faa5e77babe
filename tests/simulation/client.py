"""A page in the simulated world: the real client machine, links over the simulated network, and a person."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from tests.simulation.broker import Troubles
from tests.simulation.front import Front
from tests.simulation.judge import Handler, Judge, Topic, read
from tests.simulation.links import NETWORKS, Network, Ordered
from tests.simulation.network import Pipe, Weather
from tests.simulation.plan import Plan
from tests.simulation.wiretap import Wiretap
from tidings.client.addresses import Address
from tidings.client.driver import TRANSPORTS
from tidings.client.machine import Machine, Options
from tidings.client.transports.link import Dial, Link

Effect = dict[str, Any]
_NOTHING = {"type": "subscribe", "topics": []}


async def _no_wait() -> None:
    """The page takes what comes."""


def _no_word(message: str) -> None:
    """Nobody reads the console."""


class Surroundings(Protocol):
    """What a client sees of the world."""

    plan: Plan
    judge: Judge
    weather: Weather
    troubles: Troubles

    def front(self) -> Front | None:
        """A process that takes connections, any of them."""
        ...

    def marks_of_others(self, tenant: str | None) -> tuple[str, ...]: ...

    async def cursor(self, topic: Topic) -> str | None:
        """What the application's API answers with its data; None where it does not answer."""
        ...


class Client:
    """Does what the machine says, as the clients' drivers do, and tells the judge what each handler gets."""

    def __init__(
        self,
        name: str,
        user: str,
        tenant: str | None,
        ladder: tuple[str, ...],
        world: Surroundings,
        dice: random.Random,
    ) -> None:
        self.name, self.user, self.tenant = name, user, tenant
        self._world, self._judge, self._dice = world, world.judge, dice
        plan = world.plan
        self._auth = plan.token_seconds is not None or world.troubles.auth_fails > 0
        lingers_ms, buffers = plan.topic_linger_ms, plan.buffer_events
        self._machine = Machine(
            Options(transports=ladder, auth=self._auth, topic_linger_ms=lingers_ms, buffer_events=buffers)
        )
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._queue: deque[Effect] = deque()
        self._draining = False
        self._asleep = False
        self._slept_through: list[dict[str, Any]] = []
        self._last_number = 0
        self.handlers: dict[int, Handler] = {}
        self.left: list[Handler] = []
        self.links: dict[int, Link] = {}
        self.transports: dict[int, str] = {}
        self.taps: list[Wiretap] = []
        self.dialled_at: list[float] = []
        self.refused = False
        self._goodbyes: dict[asyncio.Task[None], None] = {}
        query = "" if self._auth else f"token={self._token()}"
        self._address = Address(name, None, secure=False, query=query)
        weather = world.weather
        self._network = NETWORKS[name] = Network(
            pipe=lambda: Pipe(dice, weather),
            front=lambda: None if self.refused else world.front(),
            tap=self._tap,
            blocked=weather.blocked.get,
        )
        self._answers: dict[int, Callable[[str | None, str | None], None]] = {}
        self.cached: dict[str, tuple[str | None, set[int] | None]] = {}
        self.status: Effect = {"state": "idle"}
        self.live_since = 0.0

    # The person.

    def on(self, topic: str) -> list[int]:
        """Its handlers of a topic."""
        return [number for number, handler in self.handlers.items() if handler.topic[1] == topic]

    async def open(self, topic: str, *, with_data: bool = True) -> None:
        """Show a list: from what is cached, else fetched with its cursor; or without any data."""
        since: str | None = None
        view: set[int] | None = None
        if topic.endswith(":*") or not with_data:
            pass
        elif topic in self.cached and self._dice.random() < 0.5:
            since, view = self.cached.pop(topic)
        else:
            since = await self._world.cursor((self.tenant, topic))
            if since is None:
                return
            await asyncio.sleep(self._dice.uniform(0, 0.3))
            view = set(self._judge.database.get((self.tenant, topic), ()))
        self.subscribe(topic, since, view)

    def subscribe(self, topic: str, since: str | None, view: set[int] | None) -> int:
        self._last_number += 1
        number = self._last_number
        position = None if since is None else read(since)
        handler = Handler(f"{self.name}/{number}", self.user, (self.tenant, topic), position, view)
        self.handlers[number] = handler
        self._judge.starts(handler)
        starts = {topic: since} if since is not None else {}
        self.feed({"input": "subscribe", "subscriber": number, "topics": [topic], "since": starts})
        return number

    def leave(self, number: int) -> None:
        handler = self.handlers.pop(number)
        handler.alive = False
        self.left.append(handler)
        if handler.position is not None and not handler.wildcard:
            epoch, offset = handler.position
            self.cached[handler.topic[1]] = f"{epoch}-{offset}", handler.view
        self.feed({"input": "unsubscribe", "subscriber": number})

    def publish(
        self, request: int, topic: str, payload: Any, key: str, answer: Callable[[str | None, str | None], None]
    ) -> None:
        """Publish over the connection; ``answer`` is given a cursor or the code of an error, once."""
        self._answers[request] = answer
        data = {"entity_id": "e", "payload": payload}
        event = {"topic": topic, "event": "UPDATED", "data": data, "idempotency_key": key}
        self.feed({"input": "publish", "request": request, **event, "queue_ms": 10_000})

    def sleep(self) -> None:
        """The lid is closed: nothing runs here, and the network goes on."""
        self._asleep = True

    def wake(self) -> None:
        """Everything that was due happens at once, and the page notices."""
        if self._asleep:
            self._asleep = False
            slept_through, self._slept_through = self._slept_through, []
            for input in slept_through:
                self.feed(input)
        self.feed({"input": "online"})

    def has_lived(self, since: float) -> bool:
        """Whether it has been live all the time since then."""
        return self.status["state"] == "live" and self.live_since <= since

    def close(self) -> None:
        """The page is closed."""
        for number in list(self.handlers):
            self.leave(number)
        self.feed({"input": "close"})

    def leftovers(self) -> list[str]:
        """What a closed client still has, and should not."""
        context = self._machine._context
        kept: dict[str, Any] = {"timers": self._timers, "links": self.links, "connections": self._network.open}
        kept |= {"topics": context.topics, "publishes": context.publishes}
        return [f"{self.name} keeps {name}: {list(what)}" for name, what in kept.items() if what]

    def pipes(self, *transports: str) -> list[Pipe]:
        """Its open connections, of any transport or of these."""
        return [pipe for pipe, transport in self._network.open.items() if not transports or transport in transports]

    # Inputs and effects, as in the clients' drivers.

    def feed(self, input: dict[str, Any]) -> None:
        if self._asleep:
            self._slept_through.append(input)
            return
        self._queue.extend(self._machine.handle(input, self._loop.time() * 1_000, self._dice.random()))
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                effect = self._queue.popleft()
                getattr(self, f"_on_{effect['effect']}")(effect)
        finally:
            self._draining = False

    def _on_status(self, effect: Effect) -> None:
        if effect["state"] == "live" != self.status["state"]:
            self.live_since = self._loop.time()
        self.status = effect
        self._judge.note(f"{self.name} is {effect['state']} {effect['reason']} {effect['transport']}")
        if effect["refetching"]:
            self._judge.sometimes["refetching"] += 1
        if effect["transport"] is not None:
            self._judge.sometimes[f"live: {effect['transport']}"] += 1

    def _on_auth(self, effect: Effect) -> None:
        generation = effect["generation"]
        if self._dice.random() < self._world.troubles.auth_fails:
            self._loop.call_later(0.05, self.feed, {"input": "auth_failed", "generation": generation})
            return
        answer = {"input": "token", "generation": generation, "token": self._token()}
        self._loop.call_later(self._dice.uniform(0, 0.3), self.feed, answer)

    def _token(self) -> str:
        seconds = self._world.plan.token_seconds
        until = "" if seconds is None else f"!{self._loop.time() + seconds}"
        return f"{self.user}@{self.tenant or ''}{until}"

    def _on_dial(self, effect: Effect) -> None:
        generation, transport = effect["generation"], effect["transport"]
        self.dialled_at.append(self._loop.time())
        refused = self._dice.random() < self._world.weather.refuses
        self.refused = refused
        self.transports[generation] = transport
        dial = Dial(
            self._address,
            generation,
            effect["token"],
            effect.get("subscribe", _NOTHING),
            self._hear,
            _no_wait,
            _no_word,
        )
        link = self.links[generation] = TRANSPORTS[transport](dial)
        link._tasks = Ordered(link._tasks)  # type: ignore[assignment]
        if len(self.links) > 1:
            self._judge.sometimes["two transports alive"] += 1

    def _hear(self, input: dict[str, Any]) -> None:
        generation = input["generation"]
        if input["input"] == "lost":
            self._let_go(generation)
        self.feed(input)

    def _let_go(self, generation: int) -> None:
        link = self.links.pop(generation, None)
        if link is None:
            return
        if self._world.plan.leaky_driver:
            # A driver that is slow to let go: what an old link still brings is fed, and the machine must not hear it.
            self._loop.call_later(0.3, self._drop, link)
        else:
            self._drop(link)

    def _drop(self, link: Link) -> None:
        task = link.drop(1000)
        self._goodbyes[task] = None
        task.add_done_callback(lambda done: self._goodbyes.pop(done, None))

    def _tap(self) -> Wiretap:
        marks = self._world.marks_of_others(self.tenant)
        name = f"{self.name}#{len(self.taps)}"
        tap = Wiretap(self._judge, name, self.user, self.tenant, marks, began_at=self._loop.time())
        self.taps.append(tap)
        return tap

    def _on_drop(self, effect: Effect) -> None:
        self._let_go(effect["generation"])

    def _on_send(self, effect: Effect) -> None:
        link = self.links.get(effect.get("generation", self._machine.generation))
        if link is not None:
            link.send(effect["frame"])

    def _on_timer(self, effect: Effect) -> None:
        self._on_cancel(effect)
        name = effect["name"]
        seconds = max(1, effect["ms"]) / 1_000  # a timer of 0 ms takes time too, in browsers and in Node
        self._timers[name] = self._loop.call_later(seconds, self._fire, name)

    def _fire(self, name: str) -> None:
        del self._timers[name]
        self.feed({"input": "timer", "name": name})

    def _on_cancel(self, effect: Effect) -> None:
        handle = self._timers.pop(effect["name"], None)
        if handle is not None:
            handle.cancel()

    def _on_flush(self, effect: Effect) -> None:
        self._loop.call_soon(self.feed, {"input": "flush"})

    def _on_remember(self, effect: Effect) -> None:
        self._judge.sometimes["remembered a transport"] += 1

    def _on_report(self, effect: Effect) -> None:
        self._judge.note(f"{self.name} reports {effect}")

    def _on_topic(self, effect: Effect) -> None:
        if effect["state"] == "denied":
            self._judge.count(f"denied: {effect['error']['code']}")
            for number in self._users(effect):
                self.leave(number)

    def _on_deliver(self, effect: Effect) -> None:
        event = effect["event"]
        for number in self._users(effect):
            handler = self.handlers.get(number)
            if handler is None:
                continue
            self._judge.delivered(handler, event)
            if self._world.plan.inside_handlers and self._dice.random() < 0.1:
                self._inside(number, handler, event)

    def _inside(self, number: int, handler: Handler, event: dict[str, Any]) -> None:
        """The application's handler leaves, and comes back or not, before it returns."""
        self._judge.count("unsubscribe in handler")
        view = handler.view
        self.leave(number)
        if self._dice.random() < 0.7:
            wildcard = handler.wildcard
            self.subscribe(handler.topic[1], None if wildcard else event["cursor"], view)

    def _on_gap(self, effect: Effect) -> None:
        for number in self._users(effect):
            handler = self.handlers.get(number)
            if handler is not None:
                self._judge.told(handler, effect["reason"], effect["cursor"])

    def _on_settle(self, effect: Effect) -> None:
        answer = self._answers.pop(effect["request"], None)
        assert answer is not None, "a publish was answered twice"
        answer(effect.get("cursor"), effect["error"]["code"] if "error" in effect else None)

    def _users(self, effect: Effect) -> list[int]:
        to = effect.get("to")
        return self._machine.users(effect["topic"]) if to is None else list(to)
