"""Keeps the broker subscribed to what the hub listens to, and every topic's stream whole and in order.

Live messages may be lost, repeated or late: history is the record. A feed accepts the next offset only;
what is below is dropped; what is above shows a hole, and the hole is read from history once, for all
listeners, before the feed goes on. Where it cannot be read whole, every listener is told (promise 1).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.effects import Attach
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Publication
from tidings.core.hub import Hub, Walk
from tidings.core.inputs import Attached, Broken, PageRead
from tidings.core.limits import Limits, exceeds
from tidings.core.recovery import judge
from tidings.core.subscription import State, Subscription
from tidings.core.topics import TopicKey, is_wildcard
from tidings.engine.feed import Feed
from tidings.ports import Broker, Clock

log = logging.getLogger("tidings.feeds")

LINGER_SECONDS = 1.0  # who leaves often comes back: a page that is left for the next one
PASSIVE_FEEDS_MAX = 10_000  # topics known only through a wildcard
RETRY_SECONDS_MAX = 5.0
STALE_READS_MAX = 100  # a history that stays behind the live feed for so many reads is given up


class Feeds:
    """The receiver of the broker's messages. All methods run on the event loop."""

    def __init__(
        self,
        broker: Broker,
        hub: Hub,
        limits: Limits,
        clock: Clock,
        *,
        on_broken: Callable[[Subscription, Broken], None],
        on_failed: Callable[[Subscription, Exception], None],
        on_type: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._hub = hub
        self._limits = limits
        self._clock = clock
        self._on_broken = on_broken
        self._on_failed = on_failed
        self._on_type = on_type
        self._feeds: dict[TopicKey, Feed] = {}
        self._passive: OrderedDict[TopicKey, None] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    # The broker's side (ports.Receiver).

    def received(self, publication: Publication) -> None:
        """A live message: late, repeated or out of order, it ends up in its place."""
        key = publication.key
        self._on_type(key.topic)
        feed = self._feeds.get(key)
        if feed is None:
            if key.wildcard not in self._feeds:
                return  # left meanwhile
            feed = self._feed_through_wildcard(publication)
        if feed.passive:
            self._passive.move_to_end(key)
        feed.offer(publication)

    def interrupted(self) -> None:
        """Live messages may be lost: look at every position."""
        for feed in list(self._feeds.values()):
            feed.repair()

    def check_positions(self) -> None:
        """Find a lost last message, after which nothing came: called every ``position_check_seconds``."""
        for feed in list(self._feeds.values()):
            feed.repair_if_quiet()

    # The sessions' side.

    async def attach(self, effect: Attach) -> Attached:
        """Hold the subscription in the hub, then find out where it starts. Raises BrokerUnavailable."""
        subscription = effect.subscription
        if subscription.gone():  # left before its turn came: nobody would take it out of the hub again
            return Attached(subscription, None, effect.reason)
        self._hub.hold(subscription)
        feed = self._feed(subscription.key)
        await feed.join()
        if subscription.gone():
            self._retire_later(feed)
            return Attached(subscription, None, effect.reason)
        if subscription.wildcard:
            return Attached(subscription, None, UnrecoveredReason.NO_HISTORY)
        subscription.start_holding(feed.position)  # no await since the position was looked at
        if effect.since is None:
            return Attached(subscription, subscription.held_after, effect.reason)
        history = await self._broker.history(subscription.key, effect.since, self._limits.page_events)
        reason = judge(effect.since, history, self._limits.recovery_events)
        if reason is not None and not subscription.gone():
            # Begun behind the head, it would be given again what the client may have already.
            await feed.reached(history.head)
        if subscription.gone():
            return Attached(subscription, None, reason)
        if reason is not None:
            subscription.start_holding(feed.position)
            return Attached(subscription, subscription.held_after, reason)
        page = self._page(history.publications)
        await self._bring_up(feed, effect.since, page)
        return Attached(subscription, effect.since, None, page)

    async def read_more(self, subscription: Subscription) -> PageRead | Broken:
        """The next page of what a subscription missed, or why there is none. Waits out a broker that is down."""
        if not subscription.catching_up():
            return PageRead(subscription, ())  # its feed may be gone too, and must not come back
        feed = self._feed(subscription.key)
        stale_reads = 0
        delay = 0.05
        while subscription.catching_up() and not self._closed:
            assert subscription.sent is not None
            try:
                history = await self._broker.history(subscription.key, subscription.sent, self._limits.page_events)
            except BrokerUnavailable:
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_SECONDS_MAX)
                continue
            if not subscription.catching_up():
                break
            reason = judge(subscription.sent, history, self._limits.recovery_events)
            behind = subscription.sent.epoch == history.head.epoch and history.head.offset <= subscription.sent.offset
            if behind and subscription.sent.offset < subscription.held_after.offset:
                # The history lags behind the live feed: what lies between will be in it soon.
                stale_reads += 1
                if stale_reads < STALE_READS_MAX:
                    await asyncio.sleep(delay)
                    continue
                reason = UnrecoveredReason.UNAVAILABLE
            if reason is not None:
                await feed.reached(history.head)
                if not subscription.catching_up():
                    break
                # What is held may be more than one page, which history no longer has: it would break again for ever.
                subscription.start_holding(feed.position)
                return Broken(subscription, subscription.held_after, reason)
            page = self._page(history.publications)
            await self._bring_up(feed, subscription.sent, page)
            return PageRead(subscription, page)
        return PageRead(subscription, ())

    def completed(self, key: TopicKey) -> Cursor | None:
        """The last completed fan-out of a topic that is listened to; None for a wildcard."""
        feed = self._feeds.get(key)
        return None if feed is None or is_wildcard(key.topic) else feed.completed

    def detach(self, subscription: Subscription) -> None:
        """Nothing more goes to the subscription; the broker is left a moment later, unless somebody comes."""
        if self._hub.remove(subscription):
            feed = self._feeds.get(subscription.key)
            if feed is not None and not feed.passive:  # else it is the wildcard's, and goes with that
                self._retire_later(feed)

    def open(self) -> None:
        """Begin, or begin anew after a close."""
        self._closed = False

    async def close(self) -> None:
        """End all work under way, and forget all streams."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._feeds.clear()
        self._passive.clear()

    def statistics(self) -> dict[str, int]:
        """Plain counters."""
        feeds = self._feeds.values()
        return {
            "feeds": len(self._feeds),
            "feeds_passive": len(self._passive),
            "repairs": sum(feed.repairs for feed in feeds),
        }

    # Inside: what a feed asks for.

    def deliver(self, publication: Publication) -> Walk:
        """Begin the fan-out of one publication."""
        return self._hub.deliver(publication)

    def failed(self, walk: Walk) -> None:
        """Sinks that raised are their transports' bugs: their sessions end, the others go on."""
        for subscription, error in walk.failed:
            self._on_failed(subscription, error)

    def broken(self, key: TopicKey, head: Cursor, reason: UnrecoveredReason) -> None:
        """The stream of a topic cannot be continued: everybody who is live on it is told.

        Those that hold are given the new place; their next read of history finds out by itself.
        """
        log.warning("the stream of %s broke (%s), and goes on at %s", key.topic, reason.value, head)
        for subscription in self._hub.listeners(key):
            if subscription.state is State.LIVE:
                self._on_broken(subscription, Broken(subscription, head, reason))
            elif subscription.attached:
                subscription.start_holding(head)
        for subscription in self._hub.listeners(key.wildcard):
            if subscription.state is State.LIVE:
                self._on_broken(subscription, Broken(subscription, None, reason))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run to its end, or to close()."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a feed's work failed", exc_info=error)

    def _feed(self, key: TopicKey) -> Feed:
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = Feed(key, self, self._broker, self._limits, self._clock)
        elif feed.passive:
            feed.passive = False
            del self._passive[key]
        return feed

    def _feed_through_wildcard(self, publication: Publication) -> Feed:
        """A topic of which only a wildcard listens: its stream begins with the first message that comes."""
        epoch, offset = publication.cursor
        feed = Feed(publication.key, self, self._broker, self._limits, self._clock)
        feed.start_at(Cursor(epoch, offset - 1))
        self._feeds[publication.key] = feed
        self._keep_for_wildcard(feed)
        return feed

    def _keep_for_wildcard(self, feed: Feed) -> None:
        """Only a wildcard listens to the topic. Of such there may be any number, so not all are kept."""
        feed.passive = True
        self._passive[feed.key] = None
        if len(self._passive) > PASSIVE_FEEDS_MAX:
            self._forget(next(iter(self._passive)))

    def _page(self, publications: tuple[Publication, ...]) -> tuple[Publication, ...]:
        """As many as one page may hold, and one at least."""
        page_bytes = 0
        for count, publication in enumerate(publications):
            page_bytes += len(publication.body)
            if count and exceeds(page_bytes, self._limits.recovery_page_bytes):
                return publications[:count]
        return publications

    async def _bring_up(self, feed: Feed, since: Cursor, publications: tuple[Publication, ...]) -> None:
        """Let the feed accept what history already has: a subscription is never ahead of its feed."""
        for publication in publications:
            feed.offer(publication)
        await feed.reached(publications[-1].cursor if publications else since)

    def _retire_later(self, feed: Feed) -> None:
        if not self._closed and not feed.retiring:
            feed.retiring = True
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self._retire, feed)

    def _retire(self, feed: Feed) -> None:
        feed.retiring = False
        if not self._closed and not self._hub.listens(feed.key):
            self.spawn(self._leave(feed))

    async def _leave(self, feed: Feed) -> None:
        try:
            left = await feed.leave(lambda: not self._hub.listens(feed.key))
        except Exception as error:  # the broker has forgotten us too, or has a bug; what it still sends is not heard
            left = True
            if not isinstance(error, BrokerUnavailable):
                log.exception("leaving %s failed", feed.key)
        if not left or self._feeds.get(feed.key) is not feed or self._hub.listens(feed.key):
            return
        if feed.key.wildcard in self._feeds and not is_wildcard(feed.key.topic):
            self._keep_for_wildcard(feed)  # begun anew, it would take a late message for new
        else:
            self._forget(feed.key)
            if is_wildcard(feed.key.topic):  # and what only it knew
                for key in [key for key in self._passive if key.wildcard == feed.key]:
                    self._forget(key)

    def _forget(self, key: TopicKey) -> None:
        self._passive.pop(key, None)
        self._feeds.pop(key).end()
