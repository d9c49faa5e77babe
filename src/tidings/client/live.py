"""What the application holds: one connection, any number of subscriptions on it."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from tidings.client.addresses import Address, parse_address
from tidings.client.checks import check_present, check_subscribable, check_transports, plain_event
from tidings.client.driver import Auth, Driver
from tidings.client.errors import OUTAGES, ConnectionEnded, PublishFailed, TopicDenied, sentence
from tidings.client.machine import Effect, Options
from tidings.client.presence import Presence, Rooms
from tidings.client.refetching import Refetching
from tidings.client.responses import HEADER, Answered, Mutation, new_mutation, parse_cursors
from tidings.client.status import ENDED, Status, StatusBoard
from tidings.client.stream import Gap, Stream
from tidings.core.errors import UsageError
from tidings.core.events import Event

log = logging.getLogger("tidings.client")

TRANSPORTS = ("websocket", "sse", "poll")


def connect(
    url: str,
    *,
    token: str | None = None,
    auth: Auth | None = None,
    transports: Sequence[str] = TRANSPORTS,
    attempts_limit: int | None = None,
) -> Live:
    """A client for the server at ``url``; it dials with the first subscription or publish.

    :param url: ``https://app.example.com``, with a path where the prefix is not ``/realtime``.
    :param token: for tokens that outlive the program.
    :param auth: for those that do not: called before every dial, and a minute before the token ends, with
        True when the last token was refused; sync or async.
    :param transports: what may be used, from the first choice to the last: ``websocket``, ``sse``, ``poll``. One that
        does not work within 5 s is followed by the next, and a better one is tried beside it from time to time.
    :param attempts_limit: failed tries in a row that end it (ConnectionEnded); None goes on for ever.

    Raises UsageError for an address or a transport that is none.
    """
    if token is not None and auth is not None:
        raise UsageError("give either token= or auth=, not both")
    try:
        address = parse_address(url)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ask: Auth | None = auth if token is None else lambda _force: token
    chosen = check_transports(transports, TRANSPORTS)
    options = Options(auth=ask is not None, attempts_limit=attempts_limit, transports=chosen, development=__debug__)
    return Live(address, ask, options)


class Live:
    """Use it with ``async with``: at the end the connection is closed and nothing is left running."""

    def __init__(self, address: Address, auth: Auth | None, options: Options) -> None:
        self._options = options
        self._driver = Driver(address, options, auth, self._tell, self._room)
        self._machine = self._driver.machine
        self._board = StatusBoard()
        self._refetching = Refetching(self._tell_refetch)
        self._subscriptions: dict[int, Stream] = {}
        self._fed: dict[Stream, None] = {}  # since the last time that there was room
        self._out_of_reach: set[str] = set()  # topics that the transport of this moment cannot follow
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._rooms: Rooms | None = None
        self._last_number = 0

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
        return self._board.now

    def on_status(self, listener: Callable[[Status], None]) -> Callable[[], None]:
        """Call the listener at each change of the status, until the function that is returned is called."""
        return self._board.listen(listener)

    async def wait_live(self) -> None:
        """Return when the connection is live; dial where nothing has. Raises ConnectionEnded when it will not be."""
        dials, last = 0, self.status
        while self.status.state != "live":
            if self.status.state in ENDED:
                raise self._ending(self.status)
            if self.status.state != "idle":
                last = self.status
                await self._board.change()
                continue
            # With nothing subscribed the machine lets go after each try: the count and the pauses are kept here.
            if self._options.attempts_limit is not None and dials > self._options.attempts_limit:
                raise self._ending(last)
            if dials > 0:
                pause_ms = min(self._options.backoff_cap_ms, self._options.backoff_base_ms * 2.0 ** min(dials, 60))
                await asyncio.sleep(random.random() * pause_ms / 1_000)
            if self.status.state == "idle":
                dials += 1
                self.reconnect()

    async def subscribe(
        self,
        *topics: str,
        since: str | Mapping[str, str] | None = None,
        on_gap: Callable[[Gap], None] | None = None,
        on_refetch: Callable[[], None] | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Yield each event of the topics, once and in order, across reconnects and changes of transport.

        :param since: the position of the data that you have (header ``Tidings-Cursor``), for all topics or by
            topic; without it events start with the subscription.
        :param on_gap: is told when events may have been missed; without it the log is. A loop that is behind by
            1,000 events for 5 s, in which the connection waits for it, is told so too (``slow``).
        :param on_refetch: is called when no transport is left (``status.refetching``), at once and every 10 s until
            events flow again: fetch the data by itself. So it is for ``type:*`` while only polls work, for they
            cannot follow it.

        Raises TopicDenied when a topic is refused, ConnectionEnded when the connection will not come back.
        """
        if not topics:
            raise UsageError("subscribe needs at least one topic")
        for topic in topics:
            check_subscribable(topic)
        number = self._next_number()
        subscription = self._subscriptions[number] = Stream(on_gap, on_refetch)
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

        Raises PublishError for an event that is none, naming topic and field, and PublishFailed with its code;
        ``unavailable`` while only polls work, for they cannot publish.
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

    def presence(self, topic: str, *, state: Mapping[str, Any] | None = None) -> Presence:
        """Be present on a topic, and see who else is: ``async with live.presence("gift-list:123") as room``.

        :param state: what the client says of itself at first, at most 1 KiB as JSON.
        """
        check_present(topic)
        return Presence(self._rooms_of, topic, state)

    def _rooms_of(self) -> Rooms:
        if self._rooms is None:
            self._rooms = Rooms(self._driver, self._next_number)
        return self._rooms

    def position(self, topic: str) -> str | None:
        """Where the topic's events are here, to go on from with ``since``; None where there is no position."""
        snapshot = self._machine.topic(topic)
        return None if snapshot is None else snapshot.cursor

    def note(self, response: Answered) -> dict[str, str]:
        """The positions of the data in a response of your HTTP client, by topic: give them as ``since``."""
        return parse_cursors(response.headers.get(HEADER))

    def mutation(self) -> Mutation:
        """A trace for a request that changes something: its event comes back with the same ``trace_id``."""
        return new_mutation()

    def reconnect(self) -> None:
        """Dial now, whatever state it is in; the counting of attempts starts anew."""
        self._feed({"input": "reconnect"})

    def reauth(self) -> None:
        """There are new credentials (of the same user): ask ``auth`` for them."""
        self._feed({"input": "reauth"})

    def pause(self) -> None:
        """Hold still without a connection; the positions are kept."""
        self._feed({"input": "pause"})

    def resume(self) -> None:
        """Go on after ``pause``, with what was missed."""
        self._feed({"input": "resume"})

    async def close(self) -> None:
        """End everything. Iterations over events end; publishes without an answer fail."""
        self._feed({"input": "close"})
        if self._rooms is not None:
            self._rooms.close()
        self._refetching.stop()
        await self._driver.end()

    # What the machine tells.

    def _feed(self, input: Mapping[str, Any]) -> None:
        self._driver.feed(input)

    def _tell(self, effect: Effect) -> None:
        _TELL[effect["effect"]](self, effect)

    def _set_status(self, effect: Effect) -> None:
        wait_ms = effect["wait_ms"]
        status = Status(
            effect["state"], effect["reason"], effect["code"], effect["attempt"],
            effect["transport"], effect["refetching"], None if wait_ms is None else time.time() + wait_ms / 1_000,
        )  # fmt: skip
        self._board.show(status)
        if self._rooms is not None and status.state != "live":
            self._rooms.lost()
        self._look_at_refetching()
        self._look_at_end()

    def _look_at_refetching(self) -> None:
        self._refetching.need(self.status.refetching or bool(self._out_of_reach))

    def _tell_refetch(self) -> None:
        numbers = {number for topic in self._out_of_reach for number in self._machine.users(topic)}
        for number, subscription in list(self._subscriptions.items()):
            if self.status.refetching or number in numbers:
                subscription.refetch()

    def _look_at_end(self) -> None:
        """Iterations end with the connection: by an error, unless the application closed it."""
        if self.status.state in ENDED:
            closed = self.status.state == "closed"
            for subscription in self._subscriptions.values():
                subscription.end(None if closed else self._ending(self.status))

    def _ending(self, status: Status) -> ConnectionEnded:
        return ConnectionEnded(status.reason, status.code, self._driver.cause)

    def _topic(self, effect: Effect) -> None:
        topic = effect["topic"]
        self._out_of_reach.discard(topic)
        if effect["state"] == "denied" and "error" in effect:
            error = effect["error"]
            if topic.endswith(":*") and error["code"] == "bad_topic" and self.status.transport == "poll":
                self._out_of_reach.add(topic)  # the transport's refusal, which ends with it
            else:
                for subscription in self._using(topic, None):
                    subscription.end(TopicDenied(topic, error["code"], error.get("message")))
        self._look_at_refetching()

    def _deliver(self, effect: Effect) -> None:
        try:
            event = msgspec.convert(effect["event"], Event)
        except msgspec.ValidationError as error:
            log.error("an event of %s is not of the expected shape: %s", effect["topic"], error)
            return
        for subscription in self._using(effect["topic"], effect.get("to")):
            subscription.put(event)
            self._fed[subscription] = None

    def _gap(self, effect: Effect) -> None:
        gap = Gap(effect["topic"], effect["reason"], effect["cursor"])
        for subscription in self._using(effect["topic"], effect.get("to")):
            subscription.put(gap)

    async def _room(self) -> None:
        """Before the next frame is read: the loops that are behind get their turn."""
        while self._fed:
            await self._fed.popitem()[0].room()

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
        code, cause = effect["code"], self._driver.cause
        why = f" ({cause})" if code in OUTAGES and cause is not None else ""
        log.log(level, "%s%s%s", about, sentence(code, effect.get("message")), why)

    def _using(self, topic: str, to: list[int] | None) -> list[Stream]:
        numbers = self._machine.users(topic) if to is None else to
        return [self._subscriptions[number] for number in numbers if number in self._subscriptions]

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number


_TELL: dict[str, Callable[[Live, Effect], None]] = {
    "status": Live._set_status,
    "topic": Live._topic,
    "deliver": Live._deliver,
    "gap": Live._gap,
    "settle": Live._settle,
    "report": Live._report,
}
