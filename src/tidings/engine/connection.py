"""Runs one session's effects against the ports. The same for every transport; it knows no protocol.

It is callable, not a task: a frame's synchronous effects are done before ``feed`` returns, and an effect
that awaits starts a task that ends when the connection's short list of work is empty. Promise 1 rests on
:meth:`Connection._take`: the last missed events and GoLive are carried out with no await between them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from tidings.core import effects as e
from tidings.core import inputs as i
from tidings.core.codes import CloseCode, ErrorCode, UnrecoveredReason
from tidings.core.errors import BrokerUnavailable, PeerError
from tidings.core.events import format_timestamp
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.limits import exceeds
from tidings.core.session import Session
from tidings.core.subscription import Subscription
from tidings.engine.drain import send_back
from tidings.engine.rights import refusals
from tidings.engine.services import Services
from tidings.ports import Credentials, CredentialSource, Sink

log = logging.getLogger("tidings.connection")

ATTACH_RETRY_SECONDS_MAX = 5.0


class Connection:
    """One session and its sink. Transports call the public methods; all of them return at once."""

    __slots__ = (
        "_catch_up",
        "_credentials",
        "_inbox",
        "_room",
        "_running",
        "_services",
        "_sink",
        "_tasks",
        "_work",
        "session",
    )

    def __init__(self, services: Services, sink: Sink, session_id: str) -> None:
        self._services = services
        self._sink = sink
        self._credentials: Credentials | None = None
        # Lists, for they are short or empty: a deque would take 600 bytes of every idle connection.
        self._inbox: list[i.Input] = []
        self._running = False
        self._work: list[e.Effect] = []
        self._catch_up: list[Subscription] = []
        self._room: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self.session = Session(session_id, services.limits, sink.push, services.clock.monotonic())

    @property
    def id(self) -> str:
        """The session's id."""
        return self.session.id

    # The transport's side.

    def open(self, credentials: Credentials | None, client_address: str | None = None) -> None:
        """The transport is open, with the credentials that the handshake found, if any."""
        self._credentials = credentials or Credentials(
            token="", source=CredentialSource.MESSAGE, client_address=client_address
        )
        if self._services.registry.draining:
            send_back(self)
            return
        self.take(i.Opened(None if credentials is None else credentials.token))
        if not self.session.closed:
            self._services.ticker.set(self, self.session.next_deadline())

    def refuse(self, fault: PeerError) -> None:
        """The handshake's decision was no: tell it and close."""
        self.take(i.Refused(fault))

    def feed(self, text: str | bytes) -> None:
        """A frame came."""
        self.take(i.FrameReceived(text))

    @property
    def is_behind(self) -> bool:
        """Whether many answers are under way: then a transport should wait for ``caught_up`` before it reads on."""
        return exceeds(len(self._work), self._services.limits.waiting_frames)

    async def caught_up(self) -> None:
        """Return when few answers are under way: a transport that waits here reads no faster than we answer."""
        if self.is_behind:
            self._room = asyncio.Event()
            await self._room.wait()

    def heard(self) -> None:
        """A protocol pong came."""
        self.take(i.Heard())

    def end(self, code: CloseCode, reason: str) -> None:
        """End the session from this side."""
        self.take(i.Ended(code, reason))

    def gone(self, *, goodbye: bool = False) -> None:
        """The transport is closed. Must be called once, whoever closed it: the clean-up is here (R8).

        :param goodbye: the client has closed it on purpose; not so where we had told it to move.
        """
        self.take(i.Gone(goodbye and not self._services.registry.draining))
        self._services.ticker.drop(self)
        self._services.registry.remove(self)
        if self._services.lifecycle is not None:
            self._services.lifecycle.disconnected(self.id)
        for task in self._tasks or ():
            task.cancel()

    def tick(self) -> float | None:
        """A deadline has passed; the next one, or None after the end."""
        self.take(i.Ticked(self._sink.pushed_count, self._sink.sees_pongs))
        return None if self.session.closed else self.session.next_deadline()

    # Inputs and effects.

    def take(self, input: i.Input) -> None:
        """Hand one input to the session and carry out what follows; inputs that this causes come after it."""
        self._inbox.append(input)
        if self._running:
            return
        self._running = True
        try:
            while self._inbox:
                self._take(self._inbox.pop(0))
        finally:
            self._running = False

    def _take(self, input: i.Input) -> None:
        try:
            effects = self.session.handle(input, self._services.clock.monotonic())
            for effect in effects:
                _CARRY_OUT[type(effect)](self, effect)
        except Exception:
            # Our own bug: the client is told no detail, which could be sensitive, and recovers by its cursors.
            log.exception("session %s failed at %s", self.session.id, type(input).__name__)
            self._inbox.clear()
            for effect in self.session.handle(i.Ended(CloseCode.INTERNAL_ERROR, "internal error"), 0.0):
                _CARRY_OUT[type(effect)](self, effect)

    def _send(self, effect: e.Send) -> None:
        self._sink.send(effect.frame.encode())

    def _replay(self, effect: e.Replay) -> None:
        self._sink.push(Framed(effect.publication))

    def _send_ping(self, effect: e.SendPing) -> None:
        self._sink.ping()

    def _close(self, effect: e.Close) -> None:
        self._sink.close(effect.code, effect.reason)

    def _go_live(self, effect: e.GoLive) -> None:
        self._services.hub.go_live(effect.subscription)
        if self._services.lifecycle is not None:
            self._services.lifecycle.subscribed(self.id, effect.subscription.key.topic)

    def _detach(self, effect: e.Detach) -> None:
        self._services.feeds.detach(effect.subscription)
        if self._services.lifecycle is not None and not self.session.closed:
            self._services.lifecycle.unsubscribed(self.id, effect.subscription.key.topic)

    def _enter(self, effect: e.Enter) -> None:
        self._services.presences.enter(effect.seat, self.id, self._identity.user, self._sink.send)

    def _leave(self, effect: e.Leave) -> None:
        self._services.presences.leave(effect.seat, self.id, is_held=effect.is_held)

    def _locate(self, effect: e.Locate) -> None:
        cursor = self._services.feeds.completed(effect.subscription.key)
        self.take(i.Located(effect.request, effect.subscription, cursor))

    def _read_more(self, effect: e.ReadMore) -> None:
        self._catch_up.append(effect.subscription)
        if len(self._catch_up) == 1:
            self._spawn(self._catching_up())

    def _later(self, effect: e.Effect) -> None:
        self._work.append(effect)
        if len(self._work) == 1:
            self._spawn(self._working())

    # What awaits.

    async def _working(self) -> None:
        """One effect after the other: the frames of a client take effect in the order in which they came."""
        while self._work:
            self._make_room(self._services.limits.waiting_frames // 2)
            effect = self._work[0]
            if isinstance(effect, e.Attach):
                await self._attach_together()
                continue
            try:
                self.take(await _AWAIT[type(effect)](self, effect))
            finally:
                self._work.pop(0)
        self._make_room(0)

    def _make_room(self, bound: int) -> None:
        """Let the transport read on, once little work is left."""
        if self._room is not None and len(self._work) <= bound:
            self._room.set()
            self._room = None

    async def _attach_together(self) -> None:
        """The topics of one frame are attached side by side, not one round trip after the other."""
        batch: list[e.Attach] = []
        for effect in self._work:
            if not isinstance(effect, e.Attach):
                break
            batch.append(effect)
        try:
            if len(batch) == 1:
                await self._attach(batch[0])
            else:
                async with asyncio.TaskGroup() as group:  # one that fails ends the session, and the others with it
                    for effect in batch:
                        group.create_task(self._attach(effect))
        finally:
            for _ in batch:
                self._work.pop(0)

    async def _attach(self, effect: e.Attach) -> None:
        try:
            attached = await self._services.feeds.attach(effect)
        except BrokerUnavailable:
            self._spawn(self._attach_when_back(effect))
            attached = i.Attached(effect.subscription, None, UnrecoveredReason.UNAVAILABLE)
        self.take(attached)

    async def _attach_when_back(self, effect: e.Attach) -> None:
        """The broker is down: the client is told now, and told again when the topic is live."""
        delay = 0.2
        while not effect.subscription.gone():
            await asyncio.sleep(delay)
            delay = min(delay * 2, ATTACH_RETRY_SECONDS_MAX)
            try:
                attached = await self._services.feeds.attach(effect)
            except BrokerUnavailable:
                continue
            self.take(i.Broken(effect.subscription, attached.start, UnrecoveredReason.UNAVAILABLE))
            return

    async def _catching_up(self) -> None:
        """Page after page, each when the sink has drained; several topics take turns."""
        while self._catch_up:
            subscription = self._catch_up[0]
            try:
                await self._sink.drained()
                self.take(await self._services.feeds.read_more(subscription))
            finally:
                self._catch_up.pop(0)

    async def _authenticate(self, effect: e.Authenticate) -> i.Input:
        assert self._credentials is not None
        credentials = self._credentials
        if effect.frame_id is not None or credentials.token != effect.token:
            credentials = Credentials(
                token=effect.token,
                source=CredentialSource.MESSAGE,
                client_address=credentials.client_address,
                headers=credentials.headers,
            )
        try:
            identity = await self._services.authenticator.authenticate(credentials)
            is_new = self._services.registry.admit(self, identity)
        except PeerError as fault:
            return i.Refused(fault, effect.frame_id)
        if is_new and self._services.lifecycle is not None:
            self._services.lifecycle.connected(self.id, identity)
        self._forget_token()
        self._services.ticker.set(self, self._services.clock.monotonic())  # its deadlines are new: look in a moment
        now = self._services.clock.now()
        expires_in = None if identity.expires_at is None else identity.expires_at - now.timestamp()
        return i.Authenticated(identity, format_timestamp(now), expires_in, effect.frame_id)

    def _forget_token(self) -> None:
        """What it was good for is known; a later one comes in a message, from the same address and browser."""
        shown = self._credentials
        assert shown is not None
        self._credentials = Credentials(
            token="", source=CredentialSource.MESSAGE, client_address=shown.client_address, headers=shown.headers
        )

    async def _authorize(self, effect: e.Authorize) -> i.Input:
        faults = await refusals(self._services, self._identity, "subscribe", effect.topics)
        warnings = {topic: self._services.catalog.warning(topic) for topic in effect.topics if topic not in faults}
        return i.Authorized(effect.request, faults, {t: told for t, told in warnings.items() if told is not None})

    async def _authorize_presence(self, effect: e.AuthorizePresence) -> i.Input:
        return await self._services.presences.authorize(effect.seat, self._identity, self._services.authorizer)

    async def _store(self, effect: e.Store) -> i.Input:
        topic = effect.draft.topic
        try:
            faults = await refusals(self._services, self._identity, "publish", (topic,))
            if faults:
                return i.StoreRefused(faults[topic], effect.frame_id)
            stored = await self._services.publisher.publish_for_client(
                effect.draft, self._identity, idempotency_key=effect.idempotency_key
            )
        except PeerError as fault:
            return i.StoreRefused(fault, effect.frame_id)
        except BrokerUnavailable:
            return i.StoreRefused(PeerError(ErrorCode.UNAVAILABLE, topic=topic), effect.frame_id)
        return i.Stored(topic, stored.cursor, effect.frame_id)

    @property
    def _identity(self) -> Identity:
        identity = self.session.identity
        assert identity is not None, "only an open session asks for rights"
        return identity

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
            if not self._tasks:
                self._tasks = None  # an idle connection keeps nothing
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("session %s failed", self.session.id, exc_info=error)
            self.end(CloseCode.INTERNAL_ERROR, "internal error")


_CARRY_OUT: dict[type, Callable[[Connection, Any], None]] = {
    e.Send: Connection._send,
    e.Replay: Connection._replay,
    e.SendPing: Connection._send_ping,
    e.Close: Connection._close,
    e.GoLive: Connection._go_live,
    e.Detach: Connection._detach,
    e.Enter: Connection._enter,
    e.Leave: Connection._leave,
    e.Locate: Connection._locate,
    e.ReadMore: Connection._read_more,
    e.Authenticate: Connection._later,
    e.Authorize: Connection._later,
    e.AuthorizePresence: Connection._later,
    e.Attach: Connection._later,
    e.Store: Connection._later,
}
_AWAIT: dict[type, Callable[[Connection, Any], Any]] = {
    e.Authenticate: Connection._authenticate,
    e.Authorize: Connection._authorize,
    e.AuthorizePresence: Connection._authorize_presence,
    e.Store: Connection._store,
}
