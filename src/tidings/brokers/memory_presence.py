"""Who is present, in the memory of one process.

As a rule one process is one node, which knows its own members and needs no store. Nodes that share a
:class:`MemoryBoard`, as in tests, see each other's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.ports import PresenceReceiver


class MemoryBoard:
    """What the nodes of one process share: their members, by key."""

    def __init__(self) -> None:
        self.nodes: dict[MemoryPresence, dict[TopicKey, dict[str, Member]]] = {}


class MemoryPresence:
    """``tidings.ports.Presence`` in dictionaries.

    :param board: of the nodes that see each other; one of its own by default.
    """

    def __init__(self, board: MemoryBoard | None = None) -> None:
        self._board = board or MemoryBoard()
        self._watched: set[TopicKey] = set()
        self._receiver: PresenceReceiver | None = None

    async def start(self, receiver: PresenceReceiver) -> None:
        """Begin."""
        self._receiver = receiver
        self._board.nodes[self] = {}

    async def close(self) -> None:
        """Forget this node's members; the others are told."""
        self._receiver = None
        self._watched.clear()
        for key, members in self._board.nodes.pop(self, {}).items():
            for session in members:
                self._tell_exit(key, session)

    def enter(self, key: TopicKey, member: Member) -> None:
        """Tell the others."""
        self._mine(key)[member.session] = member
        for other in self._others_on(key):
            other.entered(key, member)

    def exit(self, key: TopicKey, session: str) -> None:
        """Tell the others."""
        members = self._mine(key)
        if members.pop(session, None) is not None:
            self._tell_exit(key, session)
        if not members:
            del self._board.nodes[self][key]

    def watch(self, key: TopicKey) -> None:
        """From now on this node is told; at once, of those who are there."""
        self._watched.add(key)
        if self._receiver is not None:
            self._receiver.present(key, self._all(key, but=self))

    def unwatch(self, key: TopicKey) -> None:
        """Stop that."""
        self._watched.discard(key)

    async def members(self, key: TopicKey) -> Sequence[Member]:
        """All members of all nodes."""
        await asyncio.sleep(0)
        return self._all(key)

    def _all(self, key: TopicKey, *, but: MemoryPresence | None = None) -> list[Member]:
        nodes = self._board.nodes.items()
        return [member for node, keys in nodes if node is not but for member in keys.get(key, {}).values()]

    def _mine(self, key: TopicKey) -> dict[str, Member]:
        return self._board.nodes[self].setdefault(key, {})

    def _tell_exit(self, key: TopicKey, session: str) -> None:
        for other in self._others_on(key):
            other.exited(key, session)

    def _others_on(self, key: TopicKey) -> list[PresenceReceiver]:
        others = [node for node in self._board.nodes if node is not self and key in node._watched]
        return [node._receiver for node in others if node._receiver is not None]
