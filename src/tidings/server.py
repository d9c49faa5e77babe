"""Tidings in your application: settings to objects, and the calls that your code makes. No logic here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from weakref import WeakSet

from starlette.applications import Starlette
from starlette.responses import Response

from tidings.auth import Access, AuthenticateFunction, Rule, check_origins
from tidings.auth.choosing import authenticator_of, authorizer_of
from tidings.brokers import broker_from_url
from tidings.brokers.memory import MemoryBroker
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import Draft, Exclude, Outgoing
from tidings.core.numbering import Numbered
from tidings.core.topics import TopicKey, check_topic
from tidings.drafting import outgoing
from tidings.engine.catalog import Catalog
from tidings.engine.clock import SystemClock
from tidings.engine.node import Node, Ports
from tidings.http import ExposingMiddleware, add_cursor, other_methods, routes
from tidings.http.answers import error_answer
from tidings.observe.logs import redact_uvicorn
from tidings.observe.trace import TraceMiddleware
from tidings.ports import (
    Authenticator,
    Authorizer,
    Broker,
    Clock,
    KeepsPresence,
    Lifecycle,
    Member,
    Source,
    Stored,
)
from tidings.presence import Present, present
from tidings.settings import Settings
from tidings.transports.doors import Doors, House
from tidings.transports.websocket_fast_path import FastPath, FastPathMiddleware

SYNC_SECONDS_MAX = 30.0

_running: WeakSet[Tidings] = WeakSet()


class Tidings:
    """The real-time layer of one application.

    :param authenticate: credentials to :class:`Identity`, or None to refuse; sync or async. Without it, tokens
        are JWTs that ``secret`` (or the settings' public key) has signed.
    :param authorize: topic pattern to rule, such as ``{"gift-list:{list_id}": may_see_list}``; a rule gets the
        identity and the pattern's segments by name, and answers True or False, sync or async. A bare rule is
        about subscribing; :class:`Access` adds publishing by clients. Nothing is allowed by default but
        ``user:{id}`` to its owner.
    :param topics: the topic types that your application publishes; subscriptions to others are refused with
        the nearest name. None leaves it open, and unknown types are warned of.
    :param broker: ``memory``, ``sqlite:///path``, or an object that keeps the contract of
        :class:`tidings.ports.Broker`.
    :param secret: signs and checks tokens, 32 bytes or more.
    :param cookie: the name of the cookie that holds a token, if one does.
    :param allowed_origins: origins of pages beside your own, such as ``https://app.example.com``.
    :param api_keys: keys for the HTTP surface; ``KEY@TENANT`` binds one to a tenant.
    :param outbox: publishes what was committed to your database, such as ``Outbox(...).relay(engine)``.
    :param lifecycle: is told of sessions as they come and go.
    :param settings: everything else; by default from the environment and ``tidings.toml``.

    Raises ConfigurationError or UsageError, one line that names the setting, for what cannot work.
    """

    def __init__(
        self,
        *,
        authenticate: AuthenticateFunction | Authenticator | None = None,
        authorize: Mapping[str, Rule | Access | bool] | Authorizer | None = None,
        topics: Sequence[str] | None = None,
        broker: str | Broker | None = None,
        secret: str | None = None,
        cookie: str | None = None,
        allowed_origins: Sequence[str] | None = None,
        api_keys: Sequence[str] | None = None,
        outbox: Source | None = None,
        settings: Settings | None = None,
        lifecycle: Lifecycle | None = None,
        clock: Clock | None = None,
    ) -> None:
        given = {
            "topics": topics,
            "broker": broker if isinstance(broker, str) else None,
            "secret": secret,
            "cookie": cookie,
            "allowed_origins": allowed_origins,
            "api_keys": api_keys,
        }
        self.settings = _settings(settings, {name: value for name, value in given.items() if value is not None})
        check_origins(self.settings.allowed_origins)
        self._clock = clock or SystemClock()
        self._catalog = Catalog(self.settings.topics)
        limits = self.settings.limits
        if broker is None or isinstance(broker, str):
            broker = broker_from_url(self.settings.broker, limits, self._clock)
        ports = Ports(
            broker=broker,
            presence=broker.presence() if isinstance(broker, KeepsPresence) else None,
            authenticator=authenticator_of(authenticate, self.settings),
            authorizer=authorizer_of(authorize, self.settings),
            clock=self._clock,
            lifecycle=lifecycle,
        )
        self.node = Node(ports, limits, self._catalog, alone=isinstance(ports.broker, MemoryBroker))
        self._doors = Doors(House(
            node=self.node, settings=self.settings, authenticator=ports.authenticator, authorizer=ports.authorizer,
            clock=self._clock, start=self.start, refusal=error_answer,
        ))  # fmt: skip
        self._outbox = outbox
        self._is_relaying = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = asyncio.Lock()

    # In your application.

    def mount(self, app: Starlette) -> None:
        """Add the routes under the prefix to a FastAPI or Starlette application, and start and stop with it.

        Where a CORS middleware has ``expose_headers`` of its own, mount after adding it, or list
        ``Tidings-Cursor`` there too.
        """
        ours = [*self._doors.routes(), *routes(self, self.settings, self._catalog)]
        # In front: a catch-all of the application, such as its static files, must not hide them.
        app.router.routes[0:0] = [*ours, *other_methods(ours)]
        redact_uvicorn()  # a token in the query must not end up in its access log
        app.add_middleware(TraceMiddleware)
        app.add_middleware(ExposingMiddleware)
        app.add_middleware(FastPathMiddleware, path=FastPath(self.settings, self.node, self._clock))
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(scope_app: Any) -> AsyncIterator[Any]:
            await self._start(None)
            try:
                async with inner(scope_app) as state:
                    await self.start()
                    try:
                        yield state
                    finally:
                        await self._close_outbox()  # before the application lets go of its database
            finally:
                await self.close()

        app.router.lifespan_context = lifespan

    async def start(self) -> None:
        """Connect to the broker. ``mount`` does it with the application; a script calls it by itself."""
        await self._start(self._outbox)

    async def _start(self, outbox: Source | None) -> None:
        if self._loop is not None and (outbox is None or self._is_relaying):
            return
        async with self._starting:
            if self._loop is None:
                await self.node.start()
                self._loop = asyncio.get_running_loop()
                _running.add(self)
                self._doors.open()
            if outbox is not None and not self._is_relaying:
                self._is_relaying = True
                await outbox.start(self._publish_numbered)

    async def _close_outbox(self) -> None:
        async with self._starting:
            if self._outbox is not None and self._is_relaying:
                await self._outbox.close()
                self._is_relaying = False

    def expect_drain(self) -> None:
        """The process was told to stop, and you will call ``drain``: until then nobody is sent away.

        Without it, the first signal to stop tells every client at once to come back in a moment, for most servers
        close all connections then.
        """
        self.node.drain_expected = True

    async def drain(self, window_seconds: float) -> None:
        """Send the clients away, each at its own moment within the window; events go on until then.

        For servers that can be told to stop taking connections first, as ``tidings serve`` does on SIGTERM; see
        also ``expect_drain``.
        """
        await self.node.drain(window_seconds)

    async def close(self) -> None:
        """End what is still connected, and let go of the broker."""
        await self._close_outbox()
        async with self._starting:
            if self._loop is not None:
                self._loop = None
                _running.discard(self)
                await self.node.close()
                self._doors.close()

    async def publish(
        self,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any = None,
        user_id: str | None = None,
        tenant: str | None = None,
        timestamp: datetime | None = None,
        trace_id: str | None = None,
        version: int | None = None,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
    ) -> str:
        """Tell every subscriber of the topic, and answer the event's cursor.

        :param entity_id: which entity it is about; anything whose ``str()`` is its id.
        :param payload: what a Python API has in its hands: plain data, datetime, UUID, Decimal, Enum,
            dataclasses, pydantic and msgspec models. None lets clients fetch the entity.
        :param user_id: who caused it.
        :param trace_id: by default that of the request that is being served, else a new one.
        :param version: the version of the payload's schema.
        :param exclude: a user or a session to leave out.
        :param idempotency_key: a repeat with the same key within ten minutes stores nothing and answers
            the first cursor.

        Raises PublishError, naming topic and field, for an event that cannot be published: no subscriber is
        touched. Raises BrokerUnavailable when the broker does not answer.
        """
        event_out = outgoing(
            topic, event, entity_id=entity_id, payload=payload, user_id=user_id, tenant=tenant, timestamp=timestamp,
            trace_id=trace_id, version=version, exclude=exclude, idempotency_key=idempotency_key,
        )  # fmt: skip
        return (await self.publish_many([event_out]))[0]

    async def publish_many(self, events: Iterable[Outgoing]) -> list[str]:
        """Publish several events in their order, in as few steps as the broker allows; their cursors.

        :param events: made by :func:`tidings.outgoing`.

        All are checked before the first is published: one bad, none published. Raises as ``publish``; after
        BrokerUnavailable some may be stored.
        """
        try:
            return [str(cursor) for cursor in await self.publish_all(list(events))]
        except PeerError as fault:
            raise PublishError(fault) from fault

    def publish_sync(self, topic: str, event: str, **options: Any) -> str:
        """``publish`` from synchronous code in a thread, such as a ``def`` endpoint of FastAPI.

        Raises UsageError on the event loop's own thread (await ``publish`` there) and before the start.
        """
        loop = self._loop
        if loop is None:
            raise UsageError("publish_sync needs a running server: mount() it, or await start() first")
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is not None:
            raise UsageError("publish_sync would block the event loop; use `await live.publish(...)` here")
        # The request's context, and its trace id with it, goes along to the other thread.
        work = asyncio.run_coroutine_threadsafe(self.publish(topic, event, **options), loop)
        return work.result(SYNC_SECONDS_MAX)

    async def cursor(self, topic: str, *, tenant: str | None = None, response: Response | None = None) -> str:
        """Where the topic stands now: read it before your query's transaction begins (promise 2).

        With ``response``, its header ``Tidings-Cursor`` gets ``topic=cursor``, also for pages of other origins;
        call it again for each topic that the response shows.
        """
        try:
            check_topic(topic)
        except PeerError as fault:
            raise UsageError(fault.message) from None
        cursor = str(await self.head(TopicKey(tenant, topic)))
        if response is not None:
            add_cursor(response.headers, topic, cursor)
        return cursor

    async def members(self, topic: str, *, tenant: str | None = None) -> list[Present]:
        """Who is present on the topic, in all processes; several connections of a user are several of them.

        Raises UsageError for a topic that is none, and where the broker keeps no presence; BrokerUnavailable.
        """
        try:
            check_topic(topic)
            return [present(member) for member in await self.present_on(TopicKey(tenant, topic))]
        except PeerError as fault:
            raise UsageError(fault.message) from None

    async def disconnect(
        self, user: str | None = None, *, tenant: str | None = None, session: str | None = None
    ) -> int:
        """End a user's connections, as at a log-out, or one session's; how many there were in this process.

        Other processes on the same broker are told, and end theirs. Raises BrokerUnavailable where they could not be:
        call it again.
        """
        return await self.node.disconnect(user=user, tenant=tenant, session=session)

    # For the HTTP surface.

    async def publish_all(self, events: Sequence[Outgoing]) -> list[Cursor]:
        """Publish what has been checked. Raises PeerError or BrokerUnavailable."""
        await self.start()
        for event in events:
            unknown = self._catalog.unknown(event.draft.topic)
            if unknown is not None:
                raise unknown
        return [stored.cursor for stored in await self.node.publisher.publish_all(events)]

    async def _publish_numbered(
        self, draft: Draft, *, tenant: str | None, exclude: Exclude | None, numbered: Numbered
    ) -> Stored:
        unknown = self._catalog.unknown(draft.topic)
        if unknown is not None:
            raise unknown
        publisher = self.node.publisher
        return await publisher.publish_numbered(draft, tenant=tenant, exclude=exclude, numbered=numbered)

    async def head(self, key: TopicKey) -> Cursor:
        """Where a topic stands now."""
        await self.start()
        return await self.node.publisher.head(key)

    async def present_on(self, key: TopicKey) -> Sequence[Member]:
        """Who is present on a topic, as its frames have it. Raises PeerError or BrokerUnavailable."""
        await self.start()
        return await self.node.presences.members(key)

    def ready(self) -> bool:
        """Whether the broker is connected."""
        return self.node.ready


def running() -> list[Tidings]:
    """Those of this process that are started: what a server drains before it stops."""
    return list(_running)


def _settings(settings: Settings | None, given: dict[str, Any]) -> Settings:
    if settings is None:
        return Settings(**given)
    if given:
        raise UsageError(f"{' and '.join(sorted(given))}: give either settings= or the single settings, not both")
    return settings
