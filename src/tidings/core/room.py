"""Who is present on one topic, and what is to be told of it: changes of a moment leave together.

A join of one is news for all, so a thousand joins told one by one would be a million frames. So changes are
gathered, and each flush makes two frames at most, the same for everybody: who came, and who left. Those who are new
here get the list instead. A room of too many is told by its count alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidings.core.frames import Joined, Left, Member, Members
from tidings.core.limits import Limits, exceeds

CUT_MEMBERS = 100  # named of a room of too many, for faces
_ENVELOPE_BYTES = 40  # of one member beside its session, user and state
_ROOM_AGAIN = 0.9  # of the bounds: a room at its bound must not change its manners with each join


class Room:
    """The members of one topic, from all nodes.

    :ivar crowded: there are too many to be named.
    :ivar dirty: something is to be told.
    """

    __slots__ = ("_before", "_bytes", "_limits", "_members", "_told_count", "_was_crowded", "crowded", "topic")

    def __init__(self, topic: str, limits: Limits) -> None:
        self.topic = topic
        self.crowded = False
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._bytes = 0
        self._before: dict[str, bool] = {}  # of each session that has changed: whether it was told before
        self._told_count = 0
        self._was_crowded = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._members)

    @property
    def dirty(self) -> bool:
        """Whether there is news for those who know the room."""
        return bool(self._before) or self.crowded != self._was_crowded

    def members(self) -> tuple[Member, ...]:
        """All of them, in the order of their coming."""
        return tuple(self._members.values())

    def get(self, session: str) -> Member | None:
        """One of them."""
        return self._members.get(session)

    def put(self, member: Member) -> bool:
        """It has come, or has changed its state. False where that is known."""
        old = self._members.get(member.session)
        if old == member:
            return False
        self._note(member.session, old)
        self._members[member.session] = member
        self._bytes += _size_bytes(member) - (0 if old is None else _size_bytes(old))
        self._judge()
        return True

    def take(self, session: str) -> bool:
        """It has left. False where it was not there."""
        old = self._members.pop(session, None)
        if old is None:
            return False
        self._note(session, old)
        self._bytes -= _size_bytes(old)
        self._judge()
        return True

    def replace(self, gone: Iterable[str], come: Iterable[Member]) -> None:
        """Several at once."""
        for session in gone:
            self.take(session)
        for member in come:
            self.put(member)

    def flush(self) -> list[bytes]:
        """What is to be told since the last flush, in this order; nothing of it is told again.

        Who joined comes before who left, so that a user who came back over another connection is never away.
        """
        news = self._news()
        self._before = {}
        self._was_crowded = self.crowded
        self._told_count = self.count
        return [frame.encode() for frame in news]

    def listing(self) -> bytes:
        """Who is present, for those who were told nothing yet. After a flush, or both would not fit together."""
        return self._list().encode()

    def _news(self) -> list[Members | Joined | Left]:
        if self.crowded != self._was_crowded:
            return [self._list()]
        if self.crowded:
            changed = self.count != self._told_count
            return [Members(topic=self.topic, count=self.count, complete=False)] if changed else []
        joined = [self._members[session] for session in self._before if session in self._members]
        left = [session for session, told in self._before.items() if told and session not in self._members]
        news: list[Members | Joined | Left] = []
        if joined:
            news.append(Joined(topic=self.topic, members=joined))
        if left:
            news.append(Left(topic=self.topic, sessions=left))
        return news

    def _list(self) -> Members:
        members = list(self._members.values())
        if self.crowded:
            members = _within(members[:CUT_MEMBERS], self._limits.presence_list_bytes)
        return Members(topic=self.topic, members=members, count=self.count, complete=not self.crowded)

    def _note(self, session: str, old: Member | None) -> None:
        self._before.setdefault(session, old is not None)

    def _judge(self) -> None:
        scale = _ROOM_AGAIN if self.crowded else 1.0
        bounds = (self.count, self._limits.presence_members), (self._bytes, self._limits.presence_list_bytes)
        self.crowded = any(bound and have > bound * scale for have, bound in bounds)


def _size_bytes(member: Member) -> int:
    return len(member.session) + len(member.user.encode()) + len(bytes(member.state)) + _ENVELOPE_BYTES


def _within(members: list[Member], bytes_max: int) -> list[Member]:
    """As many of the first as fit."""
    size_bytes = 0
    for index, member in enumerate(members):
        size_bytes += _size_bytes(member)
        if exceeds(size_bytes, bytes_max):
            return members[:index]
    return members
