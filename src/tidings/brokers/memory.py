"""The broker of one process: everything in dictionaries, gone when the process ends.

It is as exact as a broker across a network and takes the same path: an event is stored first, and told
to the receiver after that. There is no await between the two, so one publish is one atomic step.
"""

from __future__ import annotations

from base64 import b32encode
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from secrets import token_bytes
from typing import Literal, NamedTuple

from tidings.brokers.memory_presence import MemoryPresence
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits, exceeds
from tidings.core.numbering import LastNumber, Numbered, Place, place
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.ports import Clock, Receiver, Stored

# Above this many keys of one topic the oldest are forgotten early: a publisher that never stops must not
# fill the memory. It is ten minutes of 160 publishes a second, each with a key, on one topic.
IDEMPOTENCY_KEYS_PER_TOPIC_MAX = 100_000
_SWEEP_TOPICS_MAX = 64  # looked at in one call, so that no publish pays for all idle topics at once


def random_epoch() -> str:
    """A name for one life of a topic: 80 random bits in 16 characters, short enough for headers of many cursors."""
    return b32encode(token_bytes(10)).decode().lower()


class _Kept(NamedTuple):
    stored_at: float
    publication: Publication


class _Known(NamedTuple):
    stored_at: float
    cursor: Cursor


class _Topic:
    """One topic's life: its epoch, its newest offset, the events that are kept, and the keys that are known."""

    __slots__ = ("dropped_by", "epoch", "kept", "known", "numbers", "offset", "used_at")

    def __init__(self, epoch: str, now: float) -> None:
        self.epoch = epoch
        self.offset = 0
        self.kept: deque[_Kept] = deque()
        self.known: dict[str, _Known] = {}  # in the order of storing, so the oldest stand first
        self.numbers: dict[str, LastNumber] = {}  # by source
        self.dropped_by: Literal["trimmed", "expired"] = "trimmed"
        self.used_at = now

    @property
    def head(self) -> Cursor:
        return Cursor(self.epoch, self.offset)

    def forget(self, limits: Limits, now: float) -> None:
        """Drop the events and the keys that are too old or too many."""
        kept, known = self.kept, self.known
        while kept and exceeds(len(kept), limits.history_events):
            kept.popleft()
            self.dropped_by = "trimmed"
        while kept and _is_older(kept[0].stored_at, limits.history_seconds, now):
            kept.popleft()
            self.dropped_by = "expired"
        while known:
            oldest = next(iter(known))
            too_many = len(known) > IDEMPOTENCY_KEYS_PER_TOPIC_MAX
            if not too_many and not _is_older(known[oldest].stored_at, limits.idempotency_seconds, now):
                break
            del known[oldest]

    def begin_afresh(self, epoch: str) -> None:
        """A new life that goes on counting: who stands in the old one is told."""
        self.epoch = epoch
        self.kept.clear()

    def since(self, cursor: Cursor, limit: int) -> tuple[Publication, ...]:
        """The kept events after the cursor; none where it is of another life or above the head."""
        if cursor.epoch != self.epoch or cursor.offset >= self.offset or not self.kept:
            return ()
        first_offset = self.kept[0].publication.cursor.offset
        start = max(0, cursor.offset + 1 - first_offset)
        stop = start + limit if limit else None
        return tuple(kept.publication for kept in islice(self.kept, start, stop))


class MemoryBroker:
    """Topics of this process alone (``tidings.ports.Broker``); nothing survives a restart.

    :param limits: ``history_events``, ``history_seconds`` and ``idempotency_seconds`` bound what is kept of
        each topic. A topic that nobody listens to is forgotten once all that has aged out, and gets a
        fresh epoch when it comes back.
    :param clock: whose ``monotonic`` dates what is kept.
    :param new_epoch: gives the name of a topic's new life; random, for two lives must never share one.
    """

    def __init__(self, limits: Limits, clock: Clock, *, new_epoch: Callable[[], str] = random_epoch) -> None:
        self._limits = limits
        self._clock = clock
        self._new_epoch = new_epoch
        self._topics: OrderedDict[TopicKey, _Topic] = OrderedDict()  # the longest unused stand first
        self._joined: set[TopicKey] = set()
        self._receiver: Receiver | None = None
        self._closed = False

    async def start(self, receiver: Receiver) -> None:
        """Begin to tell the receiver. What was published before is stored already."""
        self._receiver = receiver
        self._closed = False

    async def close(self) -> None:
        """Forget everything; later publishes raise BrokerUnavailable."""
        self._closed = True
        self._receiver = None
        self._topics.clear()
        self._joined.clear()

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        """Store, then tell. Raises BrokerUnavailable after ``close``, and OutOfSequence."""
        now = self._clock.monotonic()
        topic = self._topic(key, now)
        topic.forget(self._limits, now)
        if idempotency_key is not None:
            known = topic.known.get(idempotency_key)
            if known is not None:
                return Stored(known.cursor, repeated=True)
        if numbered is not None:
            last = topic.numbers.get(numbered.source)
            where = place(numbered, last)
            if where is Place.REPEAT and last is not None:
                return Stored(Cursor(topic.epoch, last.offset), repeated=True)
            if where is Place.AFRESH:
                topic.begin_afresh(self._new_epoch())
            topic.numbers[numbered.source] = LastNumber(numbered.number, numbered.token, topic.offset + 1)
        topic.offset += 1
        publication = Publication(key, topic.head, body, exclude)
        topic.kept.append(_Kept(now, publication))
        if idempotency_key is not None:
            topic.known[idempotency_key] = _Known(now, publication.cursor)
        topic.forget(self._limits, now)
        if self._receiver is not None and (key in self._joined or key.wildcard in self._joined):
            self._receiver.received(publication)
        return Stored(publication.cursor)

    async def join(self, key: TopicKey) -> None:
        """From now on the receiver is told of the key's events."""
        self._joined.add(key)

    async def leave(self, key: TopicKey) -> None:
        """Stop that."""
        self._joined.discard(key)

    async def head(self, key: TopicKey) -> Cursor:
        """Where the newest event stands. Raises BrokerUnavailable after ``close``."""
        return self._topic(key, self._clock.monotonic()).head

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        """The events after ``since``, at most ``limit`` (0: all that are kept), and the head."""
        now = self._clock.monotonic()
        topic = self._topic(key, now)
        topic.forget(self._limits, now)
        return History(topic.head, topic.since(since, limit), topic.dropped_by)

    def presence(self) -> MemoryPresence:
        """Of this process alone."""
        return MemoryPresence()

    def statistics(self) -> dict[str, int]:
        """How much is held: topics, and keys that are joined."""
        return {"topics": len(self._topics), "joined": len(self._joined)}

    def _topic(self, key: TopicKey, now: float) -> _Topic:
        if self._closed:
            raise BrokerUnavailable("The memory broker is closed: this server has shut down.")
        self._sweep(now)
        topic = self._topics.get(key)
        if topic is None:
            topic = self._topics[key] = _Topic(self._new_epoch(), now)
        topic.used_at = now
        self._topics.move_to_end(key)
        return topic

    def _sweep(self, now: float) -> None:
        """Let go of the topics that were not used for so long that nothing of them is left."""
        for _ in range(_SWEEP_TOPICS_MAX):
            if not self._topics:
                return
            key, topic = next(iter(self._topics.items()))
            if not _is_older(topic.used_at, self._limits.history_seconds, now):
                return
            topic.forget(self._limits, now)
            if topic.known or key in self._joined or key.wildcard in self._joined:
                topic.used_at = now  # a listener's position must stay valid: look again later
                self._topics.move_to_end(key)
            else:
                del self._topics[key]


def _is_older(stored_at: float, seconds_max: int, now: float) -> bool:
    """Whether something is older than a bound in seconds, where 0 is no bound."""
    return seconds_max != 0 and now - stored_at > seconds_max
