"""Who is present on which topic of this node, and how its sessions are told of the others.

The members of this node are known here; those of other nodes come from the presence store. Changes are gathered for a
tenth of a second (:mod:`tidings.core.room`), and a member whose connection was lost stays for a moment, for most are
back at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.frames import Member
from tidings.core.identity import Identity
from tidings.core.inputs import PresenceAuthorized
from tidings.core.limits import Limits
from tidings.core.room import Room
from tidings.core.seats import Seat, no_presence
from tidings.core.topics import TopicKey
from tidings.ports import Authorizer, Presence, PresenceAuthorizer

log = logging.getLogger("tidings.presence")

HELD_SECONDS = 2.0  # a reconnect takes as long, and the others need not see it
GATHER_SECONDS = 0.1  # between two frames about one topic
CROWDED_SECONDS = 1.0  # the same where only the count is told
OTHERS_SECONDS_MAX = 1.0  # how long the list waits for the members of other nodes
_SLICE = 500  # so many are told before the loop gets its turn

Send = Callable[[bytes], None]


class _Hall:
    """One room as this node sees it: who listens, and which members are here."""

    def __init__(self, key: TopicKey, limits: Limits) -> None:
        self.key = key
        self.room = Room(key.topic, limits)
        self.own: set[str] = set()  # sessions of this node
        self.held: dict[str, asyncio.TimerHandle] = {}  # those of them that were lost a moment ago
        self.listeners: dict[str, Send] = {}
        self.new: dict[str, None] = {}  # listeners that were told nothing yet
        self.others_known = False
        self.begun_at = 0.0
        self.told_at = float("-inf")
        self.timer: asyncio.TimerHandle | None = None
        self.telling: asyncio.Task[None] | None = None


class Presences:
    """The receiver of the presence store (``ports.PresenceReceiver``). All methods run on the event loop.

    :param store: None where the broker has none: then nobody can be present.
    """

    def __init__(self, store: Presence | None, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._halls: dict[TopicKey, _Hall] = {}

    async def start(self) -> None:
        """Begin."""
        if self._store is not None:
            await self._store.start(self)

    async def close(self) -> None:
        """Let go of everything; nobody is told, for nobody is connected any more."""
        for hall in self._halls.values():
            for timer in (hall.timer, *hall.held.values()):
                if timer is not None:
                    timer.cancel()
            if hall.telling is not None:
                hall.telling.cancel()
        self._halls.clear()
        if self._store is not None:
            await self._store.close()

    def refusal(self, topic: str) -> PeerError | None:
        """Why nobody can be present at all, if it is so."""
        if self._store is not None:
            return None
        return PeerError(ErrorCode.NO_PRESENCE, "This server's broker does not keep who is present.", topic=topic)

    # The sessions' side.

    async def authorize(self, seat: Seat, identity: Identity, authorizer: Authorizer) -> PresenceAuthorized:
        """Ask whether the identity, which has subscribed to the topic, may be present there."""
        topic = seat.key.topic
        fault = self.refusal(topic)
        if fault is not None or not isinstance(authorizer, PresenceAuthorizer):
            return PresenceAuthorized(seat, fault)
        if not await authorizer.allows_presence(identity, topic):
            fault = no_presence(topic, f"{identity.user} may follow {topic}, but not be present on it.")
        return PresenceAuthorized(seat, fault)

    def enter(self, seat: Seat, session: str, user: str, send: Send) -> None:
        """A session is present, or has changed its state; the first time it is told who else is."""
        hall = self._halls.get(seat.key) or self._open(seat.key)
        if session not in hall.listeners:
            hall.listeners[session] = send
            hall.new[session] = None
        hall.own.add(session)
        member = Member(session=session, user=user, state=seat.state)
        if hall.room.put(member):
            self._store_of().enter(seat.key, member)
        for other in [other for other in hall.held if _user_of(hall, other) == user]:
            self._exit(hall, other)  # it has come back over this connection
        self._tell_soon(hall)

    def leave(self, seat: Seat, session: str, *, is_held: bool) -> None:
        """A session is present no longer; where it is held, for the others it is for a moment."""
        hall = self._halls.get(seat.key)
        if hall is None or session not in hall.listeners:
            return
        del hall.listeners[session]
        hall.new.pop(session, None)
        if is_held:
            loop = asyncio.get_running_loop()
            hall.held[session] = loop.call_later(HELD_SECONDS, self._exit, hall, session)
        else:
            self._exit(hall, session)

    async def members(self, key: TopicKey) -> Sequence[Member]:
        """Who is present, on all nodes. Raises BrokerUnavailable, and PeerError where the broker keeps no presence."""
        hall = self._halls.get(key)
        if hall is not None and hall.others_known:
            return hall.room.members()
        refused = self.refusal(key.topic)
        if refused is not None:
            raise refused
        return await self._store_of().members(key)

    def statistics(self) -> dict[str, int]:
        """Plain counters."""
        return {
            "presence_topics": len(self._halls),
            "presence_sessions": sum(len(hall.listeners) for hall in self._halls.values()),
        }

    # The store's side (ports.PresenceReceiver).

    def present(self, key: TopicKey, members: Sequence[Member]) -> None:
        """All members of other nodes."""
        hall = self._halls.get(key)
        if hall is None:
            return
        there = {member.session for member in members}
        gone = [m.session for m in hall.room.members() if m.session not in there and m.session not in hall.own]
        hall.room.replace(gone, [member for member in members if member.session not in hall.own])
        if not hall.others_known and hall.timer is not None:
            hall.timer.cancel()  # it waited for this
            hall.timer = None
        hall.others_known = True
        self._tell_soon(hall)

    def entered(self, key: TopicKey, member: Member) -> None:
        """One of another node has come, or has changed its state."""
        hall = self._halls.get(key)
        if hall is not None and member.session not in hall.own and hall.room.put(member):
            self._tell_soon(hall)

    def exited(self, key: TopicKey, session: str) -> None:
        """One of another node has left."""
        hall = self._halls.get(key)
        if hall is not None and session not in hall.own and hall.room.take(session):
            self._tell_soon(hall)

    # Inside.

    def _store_of(self) -> Presence:
        assert self._store is not None, "without a store nobody is let in"
        return self._store

    def _open(self, key: TopicKey) -> _Hall:
        hall = self._halls[key] = _Hall(key, self._limits)
        hall.begun_at = asyncio.get_running_loop().time()
        self._store_of().watch(key)
        return hall

    def _exit(self, hall: _Hall, session: str) -> None:
        timer = hall.held.pop(session, None)
        if timer is not None:
            timer.cancel()
        hall.own.discard(session)
        if hall.room.take(session):
            self._store_of().exit(hall.key, session)
        if hall.own:
            self._tell_soon(hall)
            return
        if hall.timer is not None:
            hall.timer.cancel()
        del self._halls[hall.key]
        self._store_of().unwatch(hall.key)

    def _tell_soon(self, hall: _Hall) -> None:
        """At the end of this turn of the loop, but not sooner than the last time allows."""
        if hall.timer is not None or hall.telling is not None or not (hall.new or hall.room.dirty):
            return
        loop = asyncio.get_running_loop()
        at = hall.told_at + (CROWDED_SECONDS if hall.room.crowded else GATHER_SECONDS)
        if not hall.others_known:
            at = max(at, hall.begun_at + OTHERS_SECONDS_MAX)
        hall.timer = loop.call_later(max(0.0, at - loop.time()), self._tell, hall)

    def _tell(self, hall: _Hall) -> None:
        hall.timer = None
        hall.told_at = asyncio.get_running_loop().time()
        news = hall.room.flush()
        new, hall.new = hall.new, {}
        listing = [hall.room.listing()] if new else []
        waiting = [(session, send, listing if session in new else news) for session, send in hall.listeners.items()]
        if len(waiting) <= _SLICE:
            self._tell_all(hall, waiting)
        else:
            hall.telling = asyncio.get_running_loop().create_task(self._tell_in_slices(hall, waiting))

    async def _tell_in_slices(self, hall: _Hall, waiting: list[tuple[str, Send, list[bytes]]]) -> None:
        try:
            for start in range(0, len(waiting), _SLICE):
                self._tell_all(hall, waiting[start : start + _SLICE])
                await asyncio.sleep(0)
        finally:
            hall.telling = None
            if self._halls.get(hall.key) is hall:
                self._tell_soon(hall)

    def _tell_all(self, hall: _Hall, waiting: list[tuple[str, Send, list[bytes]]]) -> None:
        for session, send, frames in waiting:
            if hall.listeners.get(session) is send:
                for frame in frames:
                    try:
                        send(frame)
                    except Exception:
                        log.exception("session %s could not be told who is on %s", session, hall.key.topic)


def _user_of(hall: _Hall, session: str) -> str | None:
    member = hall.room.get(session)
    return None if member is None else member.user
