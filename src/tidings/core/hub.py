"""Who listens to what on this node, and the walk of one publication to all of them.

A walk is stepped by the engine in slices, for the core has no clock. Its snapshot holds subscriptions, not
sessions: one that left, or left and came back, is skipped; who joins meanwhile starts after it.
"""

from __future__ import annotations

from tidings.core.events import Publication
from tidings.core.framing import Framed
from tidings.core.limits import Limits
from tidings.core.subscription import State, Subscription
from tidings.core.topics import TopicKey


class Walk:
    """One publication on its way to the subscriptions that were live when it began."""

    __slots__ = ("_framed", "_listeners", "_next", "failed")

    def __init__(self, framed: Framed, listeners: list[Subscription]) -> None:
        self._framed = framed
        self._listeners = listeners
        self._next = 0
        self.failed: list[tuple[Subscription, Exception]] = []

    def step(self, count: int) -> bool:
        """Serve up to ``count`` more; True when all are served.

        A sink that raises is a bug of its transport: it is put into ``failed`` and harms nobody else.
        """
        exclude = self._framed.publication.exclude
        live = State.LIVE
        end = min(self._next + count, len(self._listeners))
        framed = self._framed
        for subscription in self._listeners[self._next : end]:
            if subscription.state is not live:
                continue
            session = subscription.session
            if exclude is not None and exclude.covers(session.user, session.id):
                continue
            try:
                session.push(framed)
            except Exception as error:
                self.failed.append((subscription, error))
        self._next = end
        return end == len(self._listeners)


class _Channel:
    """The listeners of one key. Dicts, for their order and for O(1) leaving."""

    __slots__ = ("holding", "live")

    def __init__(self) -> None:
        self.live: dict[Subscription, None] = {}
        self.holding: dict[Subscription, None] = {}


class Hub:
    """TopicKey to listeners. Join, leave and find are O(1)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._channels: dict[TopicKey, _Channel] = {}

    def hold(self, subscription: Subscription) -> None:
        """From now on the key is listened to; its publications are kept once ``start_holding`` is called."""
        self._channel(subscription.key).holding[subscription] = None

    def go_live(self, subscription: Subscription) -> None:
        """From now on publications of the key are pushed to its session."""
        channel = self._channel(subscription.key)
        channel.holding.pop(subscription, None)
        channel.live[subscription] = None

    def remove(self, subscription: Subscription) -> bool:
        """Forget the subscription, if it is there. True when nobody listens to the key any more."""
        channel = self._channels.get(subscription.key)
        if channel is None:
            return True
        channel.live.pop(subscription, None)
        channel.holding.pop(subscription, None)
        if not channel.live and not channel.holding:
            del self._channels[subscription.key]
            return True
        return False

    def listens(self, key: TopicKey) -> bool:
        """Whether anybody listens to the key."""
        return key in self._channels

    def deliver(self, publication: Publication) -> Walk:
        """Hand the publication to those that hold, and return the walk to those that are live.

        Two keys are looked up: the topic, and the wildcard of its type. Who is on both gets it by name only.
        """
        listeners: list[Subscription] = []
        channel = self._channels.get(publication.key)
        if channel is not None:
            for subscription in channel.holding:
                subscription.hold(publication, self._limits.hold_bytes)
            listeners.extend(channel.live)
        wildcard = self._channels.get(publication.key.wildcard)
        if wildcard is not None:
            topic = publication.key.topic
            listeners.extend(s for s in wildcard.live if not s.session.holds(topic))
        return Walk(Framed(publication), listeners)

    def listeners(self, key: TopicKey) -> list[Subscription]:
        """All subscriptions of the key: live ones, then holding ones."""
        channel = self._channels.get(key)
        return [] if channel is None else [*channel.live, *channel.holding]

    def statistics(self) -> dict[str, int]:
        """Plain counters: keys listened to, and subscriptions live and catching up."""
        return {
            "topics": len(self._channels),
            "subscriptions_live": sum(len(channel.live) for channel in self._channels.values()),
            "subscriptions_holding": sum(len(channel.holding) for channel in self._channels.values()),
        }

    def _channel(self, key: TopicKey) -> _Channel:
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel()
        return channel
