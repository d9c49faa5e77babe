"""One server process: the hub, the feeds, the connections, and the ports that they stand on."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace

from tidings.core.codes import CloseCode
from tidings.core.hub import Hub
from tidings.core.inputs import Broken
from tidings.core.limits import Limits
from tidings.core.subscription import Subscription
from tidings.engine.catalog import Catalog
from tidings.engine.connection import Connection
from tidings.engine.control import Control, Disconnect
from tidings.engine.drain import drain, send_back
from tidings.engine.feeds import Feeds
from tidings.engine.presence import Presences
from tidings.engine.publisher import Publisher
from tidings.engine.registry import Registry
from tidings.engine.services import Services
from tidings.engine.ticker import Ticker
from tidings.ports import Authenticator, Authorizer, Broker, Clock, Lifecycle, Presence, Sink

log = logging.getLogger("tidings.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a node is built on."""

    broker: Broker
    authenticator: Authenticator
    authorizer: Authorizer
    clock: Clock
    presence: Presence | None = None  # without one nobody can be present
    lifecycle: Lifecycle | None = None


class Node:
    """Start it, connect sinks to it, close it.

    :param alone: no other node shares the broker, so nobody is told what concerns all.
    """

    def __init__(self, ports: Ports, limits: Limits, catalog: Catalog, *, alone: bool = True) -> None:
        self.limits = limits
        self.hub = Hub(limits)
        self.publisher = Publisher(ports.broker, limits, ports.clock, on_published=catalog.seen)
        self.feeds = Feeds(
            ports.broker,
            self.hub,
            limits,
            ports.clock,
            on_broken=self._broken,
            on_failed=self._failed,
            on_type=catalog.seen,
        )
        self.presences = Presences(ports.presence, limits)
        self.ready = False
        self.drain_expected = False  # the process was told to stop, and who runs it will call drain()
        self._broker = ports.broker
        self._control = None if alone else Control(ports.broker, self.feeds, self._disconnect_here)
        self._registry = Registry(limits)
        self._ticker = Ticker(ports.clock)
        self._clock = ports.clock
        self._services = Services(
            limits=limits,
            clock=ports.clock,
            authenticator=ports.authenticator,
            authorizer=ports.authorizer,
            catalog=catalog,
            hub=self.hub,
            feeds=self.feeds,
            publisher=self.publisher,
            registry=self._registry,
            ticker=self._ticker,
            presences=self.presences,
            lifecycle=ports.lifecycle,
        )

    async def start(self) -> None:
        """Connect to the broker. Raises BrokerUnavailable."""
        self.feeds.open()
        self.drain_expected = self._registry.draining = False
        await self._broker.start(self._control or self.feeds)
        if self._control is not None:
            await self._control.start()
        await self.presences.start()
        self._ticker.set(self, self._clock.monotonic() + self.limits.position_check_seconds)
        self.ready = True
        log.info("ready")

    async def drain(self, window_seconds: float) -> None:
        """Send the clients away, spread over the window; see :mod:`.drain`."""
        self.ready = False
        await drain(self._registry, window_seconds)

    def send_all_back(self) -> None:
        """Tell everybody to come back in a moment, where the server is about to close the connections by itself."""
        for connection in self._registry.all():
            send_back(connection)

    async def close(self) -> None:
        """End what is still connected, and let go of everything."""
        await self.drain(0)
        await self.feeds.close()
        self._ticker.close()
        await self.presences.close()
        await self._broker.close()
        log.info("closed")

    def connect(self, sink: Sink, *, authorizer: Authorizer | None = None) -> Connection:
        """A connection for a new sink. Its transport must call ``gone`` at the end, whatever happens.

        :param authorizer: for a poll: asked instead of the node's own, such as one that remembers the answers.
        """
        services = self._services
        if authorizer is not None:
            services = replace(services, authorizer=authorizer, lifecycle=None)  # a request, and no connection
        connection = Connection(services, sink, secrets.token_urlsafe(16))
        self._registry.add(connection)
        return connection

    async def disconnect(self, *, user: str | None, tenant: str | None, session: str | None) -> int:
        """End a user's connections on every node, or one session's; how many there were on this one.

        Raises BrokerUnavailable where the others could not be told.
        """
        whose = Disconnect(node="", user=user, tenant=tenant, session=session)
        count = self._disconnect_here(whose)
        if self._control is not None:
            await self._control.tell_disconnect(user=user, tenant=tenant, session=session)
        return count

    def _disconnect_here(self, whose: Disconnect) -> int:
        registry = self._registry
        if whose.session is not None:
            one = registry.of_session(whose.session)
            found = [one] if one is not None and registry.belongs_to(one, whose.tenant, whose.user) else []
        else:
            found = [] if whose.user is None else registry.of_user(whose.tenant, whose.user)
        for connection in found:
            connection.end(CloseCode.UNAUTHORIZED, "disconnected")
        return len(found)

    def statistics(self) -> dict[str, int]:
        """Plain counters of all parts."""
        parts = (self._registry, self.hub, self.feeds, self.presences)
        return {name: count for part in parts for name, count in part.statistics().items()}

    def tick(self) -> float:
        """Look at the positions of all feeds, for as long as the node lives."""
        self.feeds.check_positions()
        return self._clock.monotonic() + self.limits.position_check_seconds

    def _broken(self, subscription: Subscription, news: Broken) -> None:
        connection = self._registry.of_session(subscription.session.id)
        if connection is not None:
            connection.take(news)

    def _failed(self, subscription: Subscription, error: Exception) -> None:
        log.error("the sink of session %s failed", subscription.session.id, exc_info=error)
        connection = self._registry.of_session(subscription.session.id)
        if connection is not None:
            connection.end(CloseCode.INTERNAL_ERROR, "internal error")
