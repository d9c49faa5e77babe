"""Does what the machine says: timers, connections, credentials. What is for the application it hands on."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from tidings.client.addresses import Address
from tidings.client.machine import Effect, Machine, Options
from tidings.client.transports.link import Dial, Link
from tidings.client.transports.poll import PollLink
from tidings.client.transports.sse import SseLink
from tidings.client.transports.websocket import WebSocketLink

log = logging.getLogger("tidings.client")

TRANSPORTS: Mapping[str, Callable[[Dial], Link]] = {"websocket": WebSocketLink, "sse": SseLink, "poll": PollLink}
Auth = Callable[[bool], "str | Awaitable[str | None] | None"]

TICK_SECONDS = 10.0
JUMP_SECONDS = 5.0
_NOTHING = {"type": "subscribe", "topics": []}
_NORMAL = 1000
_MEMORY_MAX = 256
_memory: dict[tuple[str, tuple[str, ...]], str] = {}  # what carried events in this process: a hint for the next client


class Driver:
    """One machine, and the world around it.

    :param tell: gets the effects that concern the application, in their order.
    :param room: is awaited between frames: while it waits, the server is not read.
    :ivar session: the name that the last connection has at the server.
    :ivar heard: is told every frame of the current connection, after the machine.
    :ivar cause: why the last connection could not be made or went, in words, where that is known.
    """

    def __init__(
        self,
        address: Address,
        options: Options,
        auth: Auth | None,
        tell: Callable[[Effect], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self.cause: str | None = None
        self.session: str | None = None
        self.heard: Callable[[Mapping[str, Any]], None] | None = None
        self._address = address
        self._memory_key = (address.text, options.transports)
        self.machine = Machine(replace(options, remembered=options.remembered or _memory.get(self._memory_key)))
        self._auth = auth
        self._tell = tell
        self._room = room
        self._links: dict[int, Link] = {}  # by generation: the living connection, and at times one beside it
        self._main = 0  # the generation of the newest dial that is not one beside a living connection
        self._asking: dict[int, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[Effect] = deque()
        self._draining = False
        self._warned: set[str] = set()
        self._ended = False
        self._tick: asyncio.TimerHandle | None = None

    def feed(self, input: Mapping[str, Any]) -> None:
        """Hand an input in; what it causes is done in order, and what that causes after it."""
        loop = asyncio.get_running_loop()
        if self._tick is None and not self._ended:
            self._watch_sleep(time.time())
        self._queue.extend(self.machine.handle(input, loop.time() * 1_000, random.random()))
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                effect = self._queue.popleft()
                perform = _PERFORM.get(effect["effect"])
                if perform is None:
                    self._tell(effect)
                else:
                    perform(self, effect)
        finally:
            self._draining = False

    async def end(self) -> None:
        """After the input ``close``: stop what runs, and return when it has ended."""
        self._ended = True
        for handle in (*self._timers.values(), *filter(None, [self._tick])):
            handle.cancel()
        self._timers.clear()
        own = asyncio.current_task()  # `auth` may call for the end too
        waiting = [task for task in self._tasks if task is not own]
        if waiting:
            await asyncio.wait(waiting)

    def _ask(self, effect: Effect) -> None:
        generation = effect["generation"]
        self._stop_asking(generation)
        task = asyncio.get_running_loop().create_task(self._credentials(generation, force=effect["force"]))
        self._asking[generation] = task
        self._keep(task)

    def _stop_asking(self, generation: int) -> None:
        """An answer for a dial that was given up is not heard, so nobody waits for it."""
        task = self._asking.pop(generation, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _credentials(self, generation: int, *, force: bool) -> None:
        assert self._auth is not None
        try:
            given = self._auth(force)
            token = await given if inspect.isawaitable(given) else given
        except Exception:
            log.exception("auth raised")
            answer: dict[str, Any] = {"input": "auth_failed"}
            self.cause = None
        else:
            answer = {"input": "token", "token": token}
        if self._asking.get(generation) is asyncio.current_task():
            del self._asking[generation]
        self.feed({**answer, "generation": generation})

    def _dial(self, effect: Effect) -> None:
        generation = effect["generation"]
        if generation == self.machine.generation:
            self._main = generation
            self.cause = None
        subscribe = effect.get("subscribe", _NOTHING)
        dial = Dial(self._address, generation, effect["token"], subscribe, self._hear, self._room, self._warn)
        self._links[generation] = TRANSPORTS[effect["transport"]](dial)

    def _hear(self, input: dict[str, Any]) -> None:
        generation = input["generation"]
        if input["input"] == "lost" and generation in self._links:
            self._let_go(generation, _NORMAL)
        self.feed(input)
        frame = input.get("frame")
        if frame is not None and generation == self.machine.generation:
            self._overhear(frame)

    def _overhear(self, frame: Mapping[str, Any]) -> None:
        """For presence, which stands beside the machine. A connection without a session, as with polls, has none."""
        if frame.get("type") == "welcome":
            session = frame.get("session")
            self.session = session if isinstance(session, str) else None
        if self.heard is not None:
            self.heard(frame)

    def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame over the connection that is there, after what the machine has sent."""
        self._send({"frame": frame})

    def _warn(self, message: str) -> None:
        """Once each: what a network does it does again at every dial."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s", message)

    def _drop(self, effect: Effect) -> None:
        self._stop_asking(effect["generation"])
        if effect["generation"] in self._links:
            self._let_go(effect["generation"], effect["code"])

    def _let_go(self, generation: int, code: int) -> None:
        link = self._links.pop(generation)
        self._keep(link.drop(code))
        if generation in (self._main, self.machine.generation):
            self.cause = link.cause

    def _send(self, effect: Effect) -> None:
        link = self._links.get(effect.get("generation", self.machine.generation))
        if link is not None:
            link.send(effect["frame"])

    def _remember(self, effect: Effect) -> None:
        _memory.pop(self._memory_key, None)
        _memory[self._memory_key] = effect["transport"]
        while len(_memory) > _MEMORY_MAX:
            del _memory[next(iter(_memory))]

    def _arm(self, effect: Effect) -> None:
        name = effect["name"]
        self._cancel(effect)
        self._timers[name] = asyncio.get_running_loop().call_later(effect["ms"] / 1_000, self._fire, name)

    def _cancel(self, effect: Effect) -> None:
        handle = self._timers.pop(effect["name"], None)
        if handle is not None:
            handle.cancel()

    def _fire(self, name: str) -> None:
        del self._timers[name]
        self.feed({"input": "timer", "name": name})

    def _flush(self, effect: Effect) -> None:
        asyncio.get_running_loop().call_soon(self.feed, {"input": "flush"})

    def _watch_sleep(self, before: float) -> None:
        """Tell when the clock has jumped: the machine slept, and its timers with it."""
        now = time.time()
        self._tick = asyncio.get_running_loop().call_later(TICK_SECONDS, self._watch_sleep, now)
        if now - before - TICK_SECONDS > JUMP_SECONDS:
            self.feed({"input": "thaw"})

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_PERFORM: dict[str, Callable[[Driver, Effect], None]] = {
    "auth": Driver._ask,
    "dial": Driver._dial,
    "drop": Driver._drop,
    "send": Driver._send,
    "remember": Driver._remember,
    "timer": Driver._arm,
    "cancel": Driver._cancel,
    "flush": Driver._flush,
}
