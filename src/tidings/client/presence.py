"""Who is on a topic, for one client.

async with live.presence("gift-list:1", state={"typing": False}) as room:
async for members in room:
print([member.user for member in members])
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tidings.client.driver import Driver
from tidings.client.machine import Effect
from tidings.client.machine.presence import PresenceMachine, RoomView
from tidings.client.machine.values import Frame, Input

_NOWHERE = RoomView([], 0, True, "away", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One connection that is present; a user with several is several members.

    :ivar state: what it says of itself: nobody has checked a word of it.
    :ivar is_self: it is this client.
    """

    user: str
    session: str
    state: Mapping[str, Any]
    is_self: bool


class Rooms:
    """Does what the presence machine says: frames, a timer, and the news to those who look.

    :param next_number: gives a number that no other subscriber has.
    """

    def __init__(self, driver: Driver, next_number: Callable[[], int]) -> None:
        self.machine = PresenceMachine()
        self._driver = driver
        self._next_number = next_number
        self._uses: dict[str, tuple[set[Presence], int]] = {}  # by topic: who is present, and its subscriber's number
        self._timer: asyncio.TimerHandle | None = None
        driver.heard = self._heard
        if driver.machine.state == "live":
            self._feed({"input": "connected", "session": driver.session})

    def enter(self, room: Presence, state: Mapping[str, Any] | None) -> None:
        """One more is present on the topic."""
        topic = room.topic
        if topic not in self._uses:  # presence is of what is subscribed to
            number = self._next_number()
            self._uses[topic] = set(), number
            self._driver.feed({"input": "subscribe", "subscriber": number, "topics": [topic], "since": {}})
        self._uses[topic][0].add(room)
        self._feed({"input": "enter", "topic": topic, "state": state})

    def update(self, topic: str, state: Mapping[str, Any]) -> None:
        """It says something else of itself."""
        self._feed({"input": "update", "topic": topic, "state": state})

    def leave(self, room: Presence) -> None:
        """One less; the last one ends it."""
        rooms, number = self._uses[room.topic]
        rooms.discard(room)
        if not rooms:
            del self._uses[room.topic]
            self._feed({"input": "leave", "topic": room.topic})
            self._driver.feed({"input": "unsubscribe", "subscriber": number})

    def lost(self) -> None:
        """There is no connection."""
        self._feed({"input": "lost"})

    def close(self) -> None:
        """The client ends."""
        if self._timer is not None:
            self._timer.cancel()
        for rooms, _ in list(self._uses.values()):
            for room in rooms:
                room.end()

    def _heard(self, frame: Frame) -> None:
        if frame.get("type") != "welcome":
            self._feed({"input": "frame", "frame": frame})
        elif self._driver.session is None or self._driver.session != self.machine.session:
            self._feed({"input": "connected", "session": self._driver.session})

    def _feed(self, input: Input) -> None:
        now_ms = asyncio.get_running_loop().time() * 1_000
        for effect in self.machine.handle(input, now_ms):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        loop = asyncio.get_running_loop()
        match effect["effect"]:
            case "send":
                self._driver.send(effect["frame"])
            case "flush":
                loop.call_soon(self._feed, {"input": "flush"})
            case "timer":
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = loop.call_later(effect["ms"] / 1_000, self._feed, {"input": "timer"})
            case "changed":
                for room in list(self._uses.get(effect["topic"], (set(), 0))[0]):
                    room.changed()


class Presence:
    """Made by ``Live.presence``. Within ``async with`` the client is present, and knows who else is."""

    def __init__(self, rooms: Callable[[], Rooms], topic: str, state: Mapping[str, Any] | None) -> None:
        self.topic = topic
        self._rooms_of = rooms
        self._first_state = state
        self._rooms: Rooms | None = None
        self._news = asyncio.Event()
        self._is_over = False

    async def __aenter__(self) -> Self:
        """Be present; the topic is subscribed to for as long."""
        self._rooms = self._rooms_of()
        self._rooms.enter(self, self._first_state)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Be present no longer; the others are told at once."""
        if self._rooms is not None and not self._is_over:
            self._rooms.leave(self)
        self.end()

    @property
    def members(self) -> list[Member]:
        """Who is present, in the order of coming; as last known while ``state`` is ``away``."""
        own = None if self._rooms is None else self._rooms.machine.session
        return [Member(**entry, is_self=entry["session"] == own) for entry in self._view.members]

    @property
    def count(self) -> int:
        """How many there are."""
        return self._view.count

    @property
    def complete(self) -> bool:
        """False where there are too many to be named: ``members`` are some of them then."""
        return self._view.complete

    @property
    def state(self) -> str:
        """``joining``, ``live``, ``away`` (no connection), ``unavailable`` (polling), or ``denied`` (see ``error``)."""
        return self._view.state

    @property
    def error(self) -> Mapping[str, str] | None:
        """Why it is denied, or why the last state was refused: ``code`` and ``message``."""
        return self._view.error

    def update(self, state: Mapping[str, Any]) -> None:
        """Say something else of oneself, at most 1 KiB. Sent ten times a second at most; the last one always is."""
        if self._rooms is not None and not self._is_over:
            self._rooms.update(self.topic, state)

    async def __aiter__(self) -> AsyncIterator[list[Member]]:
        """Yield who is present, whenever that has changed; what changes meanwhile is one change."""
        while True:
            self._news.clear()
            if self._is_over:
                return
            yield self.members
            await self._news.wait()

    def changed(self) -> None:
        """Something did."""
        self._news.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._is_over = True
        self._news.set()

    @property
    def _view(self) -> RoomView:
        view = None if self._rooms is None else self._rooms.machine.view(self.topic)
        return view or _NOWHERE
