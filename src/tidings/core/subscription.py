"""One topic of one session: asked, attaching, ready, catching up, live, gone; and the merge by offset.

While it catches up, what is published meanwhile is held here. Then the missed events and the held ones are
put together by offset, and it goes live in the same step: no gap, no double, no lock (promise 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.framing import Framed
from tidings.core.limits import exceeds
from tidings.core.topics import TopicKey, is_wildcard

if TYPE_CHECKING:
    from typing import Protocol

    class Listener(Protocol):
        """What a subscription needs of its session: who it is, and the way out."""

        id: str

        @property
        def user(self) -> str | None:
            """Who is connected."""
            ...

        def push(self, framed: Framed) -> None:
            """Send an event."""
            ...

        def holds(self, topic: str) -> bool:
            """Whether publications of the topic reach the session by its name."""
            ...


class State(Enum):
    """Where a subscription is in its life."""

    ASKED = "asked"  # the authorizer is looking
    ATTACHING = "attaching"  # allowed; the feed is finding out where it starts
    READY = "ready"  # the start is known; the answer waits for the other topics of its frame
    CATCHING_UP = "catching_up"  # missed events go out in pages
    LIVE = "live"
    GONE = "gone"


class Subscription:
    """The hub's listener. Live, it holds nothing but who it is and where it started."""

    __slots__ = (
        "_held", "_held_after", "_held_bytes", "first_page", "key", "sent", "session", "state", "warning", "wildcard",
    )  # fmt: skip

    def __init__(self, session: Listener, key: TopicKey) -> None:
        self.session = session
        self.key = key
        self.wildcard = is_wildcard(key.topic)
        self.state = State.ASKED
        self.sent: Cursor | None = None  # until live: the last event that went out, or the start
        self.warning: str | None = None  # told with the answer (A12)
        self.first_page: tuple[Publication, ...] = ()  # what was missed, until the answer has gone out
        self._held: list[Publication] | None = None
        self._held_after: Cursor | None = None  # what is held follows this without a hole
        self._held_bytes = 0

    @property
    def attached(self) -> bool:
        """Whether publications reach it, to be held or to be sent: then a wildcard of its session skips them."""
        return self.state is State.LIVE or self._held is not None

    def gone(self) -> bool:
        """Whether it was left."""
        return self.state is State.GONE

    def catching_up(self) -> bool:
        """Whether missed events are going out."""
        return self.state is State.CATCHING_UP

    def start_holding(self, position: Cursor) -> None:
        """From now on keep what is published after ``position``, the feed's own."""
        self._held = []
        self._held_after = position
        self._held_bytes = 0

    @property
    def held_after(self) -> Cursor:
        """The place from which everything later is held: where a subscription that recovers nothing starts."""
        assert self._held_after is not None, "a subscription is held before its start is asked for"
        return self._held_after

    def hold(self, publication: Publication, bytes_max: int) -> None:
        """Keep one publication for the merge; above the bound forget all, and read it from history later."""
        if self._held is None:
            return
        self._held.append(publication)
        self._held_bytes += len(publication.body)
        if exceeds(self._held_bytes, bytes_max):
            self.start_holding(publication.cursor)

    def merge(self, page: Sequence[Publication], bytes_max: int) -> tuple[list[Publication], bool]:
        """Put a page of history and what is held together, after what was sent.

        Returns what is to be sent now, in order, and whether that is all there is: then nothing is held any
        more and the caller makes the subscription live in the same step. When not, history is read again
        from ``sent``; so too where both together are more than ``bytes_max``.
        """
        assert self.sent is not None, "merge comes after the start is known"
        due = [publication for publication in page if publication.cursor.offset > self.sent.offset]
        sent = due[-1].cursor if due else self.sent
        whole = self.held_after.epoch == sent.epoch and sent.offset >= self.held_after.offset
        if whole:
            held = [publication for publication in self._held or () if publication.cursor.offset > sent.offset]
            whole = not held or not exceeds(size_bytes(due) + size_bytes(held), bytes_max)
            if whole:
                due += held
                sent = held[-1].cursor if held else sent
        self.sent = sent
        return due, whole

    def go_live(self) -> None:
        """Nothing is held any more."""
        self._let_go()
        self.state = State.LIVE

    def end(self) -> None:
        """It is left, or its session is: whatever still comes for it is dropped."""
        self._let_go()
        self.state = State.GONE

    def _let_go(self) -> None:
        self.first_page = ()
        self.warning = None
        self._held = None
        self._held_after = None
        self._held_bytes = 0


def size_bytes(publications: Sequence[Publication]) -> int:
    """How much they are on the wire, near enough."""
    return sum(len(publication.body) for publication in publications)
