"""What the application holds: one connection, any number of subscriptions on it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgspec

from tidings.client.checks import check_subscribable, plain_event
from tidings.client.errors import OUTAGES, ConnectionEnded, PublishFailed, TopicDenied, sentence
from tidings.client.link import Link, websocket_url
from tidings.client.machine import Effect, Machine, Options
from tidings.client.stream import Gap, Stream
from tidings.core.errors import UsageError
from tidings.core.events import Event

log = logging.getLogger("tidings.client")

_ENDED = frozenset({"blocked", "failed", "closed"})

Auth = Callable[[bool], "str | Awaitable[str | None] | None"]


@dataclass(frozen=True, slots=True)
class Status:
    """How the connection is: ``state`` as in ``spec/scenarios``, and why."""

    state: str = "idle"
    reason: str | None = None
    code: int | None = None
    attempt: int = 0


def connect(url: str, *, token: str | None = None, auth: Auth | None = None, attempts_limit: int | None = None) -> Live:
    """A client for the server at ``url``; it dials with the first subscription or publish.

    :param url: ``https://app.example.com``, with a path where the prefix is not ``/realtime``.
    :param token: for tokens that outlive the program.
    :param auth: for those that do not: called before every dial, and a minute before the token ends, with
        True when the last token was refused; sync or async.
    :param attempts_limit: failed tries in a row that end it (ConnectionEnded); None goes on for ever.

    Raises UsageError for an address that is none.
    """
    if token is not None and auth is not None:
        raise UsageError("give either token= or auth=, not both")
    try:
        address = websocket_url(url)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ask: Auth | None = auth if token is None else lambda _force: token
    return Live(address, ask, Options(auth=ask is not None, attempts_limit=attempts_limit, development=__debug__))


class Live:
    """Use it with ``async with``: at the end the connection is closed and nothing is left running."""

    def __init__(self, address: str, auth: Auth | None, options: Options) -> None:
        self._address = address
        self._auth = auth
        self._machine = Machine(options)
        self._link: Link | None = None
        self._asking_task: asyncio.Task[None] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[Effect] = deque()
        self._draining = False
        self._subscriptions: dict[int, Stream] = {}
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._last_number = 0
        self._status = Status()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Nothing is dialled yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.close()

    @property
    def status(self) -> Status:
        """How the connection is now."""
        return self._status

    async def wait_live(self) -> None:
        """Return when the connection is live; dial where nothing has. Raises ConnectionEnded when it will not be."""
        while self._status.state != "live":
            if self._status.state in _ENDED:
                raise self._ending()
            if self._status.state == "idle":
                self.reconnect()
            else:
                await self._changed.wait()

    async def subscribe(
        self,
        *topics: str,
        since: str | Mapping[str, str] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Yield each event of the topics, once and in order, across reconnects.

        :param since: the position of the data that you have (header ``Tidings-Cursor``), for all topics or by
            topic; without it events start with the subscription.
        :param on_gap: is told when events may have been missed; without it the log is. A loop that is behind by
            1,000 events for 5 s, in which the connection waits for it, is told so too (``slow``).

        Raises TopicDenied when a topic is refused, ConnectionEnded when the connection will not come back.
        """
        if not topics:
            raise UsageError("subscribe needs at least one topic")
        for topic in topics:
            check_subscribable(topic)
        number = self._next_number()
        subscription = self._subscriptions[number] = Stream(on_gap)
        starts = dict.fromkeys(topics, since) if isinstance(since, str) else dict(since or {})
        self._feed({"input": "subscribe", "subscriber": number, "topics": list(topics), "since": starts})
        self._look_at_end()
        try:
            while True:
                event = await subscription.next()
                if event is None:
                    return
                yield event
        finally:
            subscription.end(None)
            del self._subscriptions[number]
            self._feed({"input": "unsubscribe", "subscriber": number})

    async def publish(
        self,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any = None,
        idempotency_key: str | None = None,
        trace_id: str | None = None,
        version: int | None = None,
        queue_seconds: float = 10.0,
    ) -> str:
        """Publish, where the server's rules allow it to clients; answers the event's cursor.

        :param payload: what the server's ``publish`` takes too, such as a dataclass or a pydantic model.
        :param queue_seconds: how long it may wait for a connection, and be repeated over the next one; under one
            idempotency key, so that it is stored once. 0: only over the connection that is there.

        Raises PublishError for an event that is none, naming topic and field, and PublishFailed with its code.
        """
        data = {"entity_id": str(entity_id), "payload": payload}
        asked = plain_event({"topic": topic, "event": event, "data": data, "trace_id": trace_id, "version": version})
        key = idempotency_key or secrets.token_hex(16)
        number = self._next_number()
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            more = {"idempotency_key": key, "queue_ms": queue_seconds * 1_000}
            self._feed({"input": "publish", "request": number, **asked, **more})
            return await answer
        finally:
            del self._answers[number]

    def reconnect(self) -> None:
        """Dial now, whatever state it is in; the counting of attempts starts anew."""
        self._feed({"input": "reconnect"})

    async def close(self) -> None:
        """End everything. Iterations over events end; publishes without an answer fail."""
        self._feed({"input": "close"})
        self._stop_asking()
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    # Inputs and effects.

    def _feed(self, input: Mapping[str, Any]) -> None:
        """Hand an input in; what it causes is done in order, and what that causes after it."""
        now_ms = asyncio.get_running_loop().time() * 1_000
        self._queue.extend(self._machine.handle(input, now_ms, random.random()))
        if self._draining:
            return
        self._draining = True
        try:
            while self._queue:
                effect = self._queue.popleft()
                _PERFORM[effect["effect"]](self, effect)
        finally:
            self._draining = False

    def _ask(self, effect: Effect) -> None:
        self._stop_asking()
        asking = self._asking(effect["generation"], force=effect["force"])
        self._asking_task = asyncio.get_running_loop().create_task(asking)
        self._keep(self._asking_task)

    def _stop_asking(self) -> None:
        """An answer for an older dial is not heard, so nobody waits for it."""
        if self._asking_task is not None and self._asking_task is not asyncio.current_task():
            self._asking_task.cancel()

    async def _asking(self, generation: int, *, force: bool) -> None:
        assert self._auth is not None
        try:
            given = self._auth(force)
            token = await given if inspect.isawaitable(given) else given
        except Exception:
            log.exception("auth raised")
            self._feed({"input": "auth_failed", "generation": generation})
        else:
            self._feed({"input": "token", "generation": generation, "token": token})

    def _dial(self, effect: Effect) -> None:
        self._link = Link(self._address, effect["generation"], self._feed, self._room)

    def _drop(self, effect: Effect) -> None:
        self._stop_asking()
        if self._link is not None:
            self._keep(self._link.drop(effect["code"]))
            self._link = None

    def _send(self, effect: Effect) -> None:
        if self._link is not None:
            self._link.send(effect["frame"])

    def _arm(self, effect: Effect) -> None:
        name = effect["name"]
        self._cancel(effect)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(effect["ms"] / 1_000, self._fire, name)

    def _cancel(self, effect: Effect) -> None:
        handle = self._timers.pop(effect["name"], None)
        if handle is not None:
            handle.cancel()

    def _fire(self, name: str) -> None:
        del self._timers[name]
        self._feed({"input": "timer", "name": name})

    def _flush(self, effect: Effect) -> None:
        asyncio.get_running_loop().call_soon(self._feed, {"input": "flush"})

    def _set_status(self, effect: Effect) -> None:
        self._status = Status(effect["state"], effect["reason"], effect["code"], effect["attempt"])
        self._changed.set()
        self._changed = asyncio.Event()
        self._look_at_end()

    def _look_at_end(self) -> None:
        """Iterations end with the connection: by an error, unless the application closed it."""
        if self._status.state in _ENDED:
            closed = self._status.state == "closed"
            for subscription in self._subscriptions.values():
                subscription.end(None if closed else self._ending())

    def _ending(self) -> ConnectionEnded:
        return ConnectionEnded(self._status.reason, self._status.code, self._cause)

    @property
    def _cause(self) -> str | None:
        if self._link is None or self._status.reason == "auth_failed":
            return None
        return self._link.cause

    def _topic(self, effect: Effect) -> None:
        if effect["state"] == "denied" and "error" in effect:
            error = effect["error"]
            for subscription in self._using(effect["topic"], None):
                subscription.end(TopicDenied(effect["topic"], error["code"], error.get("message")))

    def _deliver(self, effect: Effect) -> None:
        try:
            event = msgspec.convert(effect["event"], Event)
        except msgspec.ValidationError as error:
            log.error("an event of %s is not of the expected shape: %s", effect["topic"], error)
            return
        for subscription in self._using(effect["topic"], effect.get("to")):
            subscription.put(event)

    def _gap(self, effect: Effect) -> None:
        gap = Gap(effect["topic"], effect["reason"], effect["cursor"])
        for subscription in self._using(effect["topic"], effect.get("to")):
            subscription.put(gap)

    async def _room(self) -> None:
        """Before the next frame is read: the loops that are behind get their turn."""
        for subscription in list(self._subscriptions.values()):
            await subscription.room()

    def _settle(self, effect: Effect) -> None:
        answer = self._answers.get(effect["request"])
        if answer is None or answer.done():
            return
        if "error" in effect:
            answer.set_exception(PublishFailed(effect["error"]["code"], effect["error"].get("message")))
        else:
            answer.set_result(effect["cursor"])

    def _report(self, effect: Effect) -> None:
        level = logging.WARNING if effect["level"] == "warn" else logging.ERROR
        about = f"{effect['topic']}: " if "topic" in effect else ""
        code = effect["code"]
        why = f" ({self._cause})" if code in OUTAGES and self._cause is not None else ""
        log.log(level, "%s%s%s", about, sentence(code, effect.get("message")), why)

    def _using(self, topic: str, to: list[int] | None) -> list[Stream]:
        numbers = self._machine.users(topic) if to is None else to
        return [self._subscriptions[number] for number in numbers if number in self._subscriptions]

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_PERFORM: dict[str, Callable[[Live, Effect], None]] = {
    "status": Live._set_status,
    "auth": Live._ask,
    "dial": Live._dial,
    "drop": Live._drop,
    "send": Live._send,
    "timer": Live._arm,
    "cancel": Live._cancel,
    "flush": Live._flush,
    "topic": Live._topic,
    "deliver": Live._deliver,
    "gap": Live._gap,
    "settle": Live._settle,
    "report": Live._report,
}
