"""One topic's stream on this node: its position, the fan-out under way, and what waits its turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Publication
from tidings.core.hub import Walk
from tidings.core.limits import Limits
from tidings.core.recovery import judge
from tidings.core.topics import TopicKey, is_wildcard
from tidings.ports import Broker, Clock

SLICE_SECONDS = 0.005  # a fan-out holds the loop no longer than this at a time
SLICE_LISTENERS = 256  # and looks at the clock after so many
WAITING_MAX = 1_000  # publications that wait for the fan-out before them; more are read from history


class Owner(Protocol):
    """What a feed asks of the feeds."""

    def deliver(self, publication: Publication) -> Walk:
        """Begin a fan-out."""
        ...

    def failed(self, walk: Walk) -> None:
        """Some sinks raised."""
        ...

    def broken(self, key: TopicKey, head: Cursor, reason: UnrecoveredReason) -> None:
        """The stream cannot be continued."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside."""
        ...


class Feed:
    """``position`` is the last publication whose fan-out began, ``completed`` the last whose fan-out ended."""

    __slots__ = (
        "_broker", "_clock", "_ended", "_joined", "_limits", "_lock", "_lossy", "_moved", "_owner", "_position",
        "_reached", "_repairing", "_waiting", "_walk", "completed", "key", "passive", "repairs", "retiring",
    )  # fmt: skip

    def __init__(self, key: TopicKey, owner: Owner, broker: Broker, limits: Limits, clock: Clock) -> None:
        self.key = key
        self.passive = False  # known only through a wildcard
        self.retiring = False
        self.repairs = 0
        self.completed: Cursor | None = None
        self._owner = owner
        self._broker = broker
        self._limits = limits
        self._clock = clock
        self._position: Cursor | None = None
        self._joined = False
        self._lock = asyncio.Lock()  # join and leave of one key never overlap
        self._repairing = False
        self._ended = False
        self._waiting: deque[Publication] = deque()
        self._lossy = False
        self._moved = False
        self._walk: Walk | None = None
        self._reached: list[tuple[Cursor, asyncio.Future[None]]] = []

    @property
    def position(self) -> Cursor:
        """Where the stream stands; known once ``join`` has returned."""
        assert self._position is not None, "a feed is joined before its position is asked for"
        return self._position

    def start_at(self, cursor: Cursor) -> None:
        """The stream begins after this place."""
        self._position = self.completed = cursor

    async def join(self) -> None:
        """Be joined at the broker, and know the position. First the messages, then the head: nothing between."""
        async with self._lock:
            known = self._position is not None
            if not self._joined:
                await self._broker.join(self.key)
                self._joined = True
                if known:
                    self.repair()  # through a wildcard, or left for a moment: it may have missed something
            if not known and not is_wildcard(self.key.topic):  # also where the head could not be read the last time
                self.start_at(await self._broker.head(self.key))
                self._pump()

    async def leave(self, still_unwanted: Callable[[], bool]) -> bool:
        """Leave the broker, unless somebody has come meanwhile. Whether it was left."""
        async with self._lock:
            if not still_unwanted():
                return False
            self._joined = False
            await self._broker.leave(self.key)
            return still_unwanted()

    def end(self) -> None:
        """Nobody listens any more, and another feed may take its place: what is under way delivers nothing."""
        self._ended = True
        self._waiting.clear()
        for _, future in self._reached:
            if not future.done():
                future.set_result(None)
        self._reached = []

    def offer(self, publication: Publication) -> None:
        """Take a publication from wherever; it goes out when it is its turn, once."""
        if len(self._waiting) >= WAITING_MAX:
            self._lossy = True  # the newest is dropped: what is missing is read from history
            return
        self._waiting.append(publication)
        self._pump()

    async def reached(self, cursor: Cursor) -> None:
        """Return when the stream has come this far; across epochs, when it has been looked which has ended."""
        position = self.position
        if self._ended or (position.epoch == cursor.epoch and position.offset >= cursor.offset):
            return
        self.repair()  # the live message may have been lost, or the data were wiped and nobody has told us
        future = asyncio.get_running_loop().create_future()
        self._reached.append((cursor, future))
        await future

    def repair(self) -> None:
        """Read what is missing from history, if anything is, and let the stream go on after it."""
        if self._repairing or self._position is None or self._ended:
            return
        self._repairing = True
        self.repairs += 1
        self._owner.spawn(self._repair())

    def repair_if_quiet(self) -> None:
        """The same, unless messages have come since the last time it was asked."""
        if not self._moved:
            self.repair()
        self._moved = False

    def _is_past(self, cursor: Cursor) -> bool:
        position = self.position
        return position.epoch != cursor.epoch or position.offset >= cursor.offset

    def _pump(self) -> None:
        """Begin the next fan-out, while there is one and nothing is in its way."""
        waiting = self._waiting
        while waiting and self._walk is None and not self._repairing and self._position is not None:
            publication = waiting.popleft()
            epoch, offset = publication.cursor
            if epoch == self._position.epoch:
                if offset <= self._position.offset:
                    continue  # a repeat
                if offset == self._position.offset + 1:
                    self._begin(publication)
                    self._step()
                    continue
            # A hole, or another epoch. The message itself is in history too: it was stored before it was told.
            self.repair()
        if self._lossy and not waiting and self._walk is None:
            self._lossy = False
            self.repair()

    def _begin(self, publication: Publication) -> None:
        self._position = publication.cursor
        self._moved = True
        self._walk = self._owner.deliver(publication)
        if self._reached:
            self._wake()

    def _step(self) -> bool:
        """Serve listeners for one slice; what is left goes on in the next turn of the loop."""
        walk = self._walk
        assert walk is not None
        until = self._clock.monotonic() + SLICE_SECONDS
        while not walk.step(SLICE_LISTENERS):
            if self._clock.monotonic() >= until:
                asyncio.get_running_loop().call_soon(self._go_on)
                return False
        return self._served(walk)

    def _served(self, walk: Walk) -> bool:
        """Everybody has been served."""
        self._walk = None
        self.completed = self._position
        if walk.failed:
            self._owner.failed(walk)
        return True

    def _go_on(self) -> None:
        if self._step():
            self._pump()

    def _is_over(self) -> bool:
        return self._ended  # asked by name, for it changes while others run

    async def _repair(self) -> None:
        """Runs alone: the stream stands still, new messages wait, so ``position`` moves by this only."""
        delay = 0.1
        try:
            while not self._ended:
                while self._walk is not None:  # noqa: ASYNC110 - it goes on in the next turn of the loop
                    await asyncio.sleep(0)
                try:
                    history = await self._broker.history(self.key, self.position, self._limits.page_events)
                except BrokerUnavailable:
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 5.0)
                    continue
                if self._is_over():
                    break
                reason = judge(self.position, history, self._limits.recovery_events)
                if reason is not None:
                    self.start_at(history.head)
                    self._owner.broken(self.key, history.head, reason)
                    break
                for publication in history.publications:
                    if self._is_over():
                        break
                    self._begin(publication)
                    while not self._step_alone():  # noqa: ASYNC110 - others run between two slices
                        await asyncio.sleep(0)
                if self.position.offset >= history.head.offset:
                    break
        finally:
            self._repairing = False
        self._wake()
        self._pump()

    def _step_alone(self) -> bool:
        """One slice of a fan-out that ``_repair`` itself drives."""
        walk = self._walk
        assert walk is not None
        if not walk.step(SLICE_LISTENERS):
            return False
        return self._served(walk)

    def _wake(self) -> None:
        still: list[tuple[Cursor, asyncio.Future[None]]] = []
        for cursor, future in self._reached:
            if not self._is_past(cursor):
                still.append((cursor, future))
            elif not future.done():
                future.set_result(None)
        self._reached = still
