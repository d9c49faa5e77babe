"""How the checks of presence stores get one, and what they see of its news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.ports import Presence

NEWS_SECONDS_MAX = 5.0  # how long news may take before a check fails


def member(session: str, user: str = "ana", **state: Any) -> Member:
    """One that is present."""
    return Member(session=session, user=user, state=msgspec.Raw(msgspec.json.encode(state)))


class PresenceRecorder:
    """A receiver that has the members as the news leave them, and can be waited for.

    :ivar there: by key and session: the members of other nodes.
    :ivar lists: how often all of a key were told at once.
    """

    def __init__(self) -> None:
        self.there: dict[TopicKey, dict[str, Member]] = {}
        self.lists: list[TopicKey] = []
        self._told = asyncio.Event()

    def present(self, key: TopicKey, members: Sequence[Member]) -> None:
        """All at once."""
        self.there[key] = {one.session: one for one in members}
        self.lists.append(key)
        self._told.set()

    def entered(self, key: TopicKey, member: Member) -> None:
        """One came, or changed."""
        self.there.setdefault(key, {})[member.session] = member
        self._told.set()

    def exited(self, key: TopicKey, session: str) -> None:
        """One left."""
        self.there.setdefault(key, {}).pop(session, None)
        self._told.set()

    async def until(self, key: TopicKey, *members: Member) -> None:
        """Wait until exactly these are there. Raises AssertionError when they are not in time."""
        wanted = {one.session: one for one in members}
        try:
            async with asyncio.timeout(NEWS_SECONDS_MAX):
                while key not in self.lists or self.there.get(key, {}) != wanted:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            raise AssertionError(
                f"on {key} there should be {sorted(wanted)}, and there are {sorted(self.there.get(key, {}))} after "
                f"{NEWS_SECONDS_MAX} seconds"
            ) from None


@dataclass(frozen=True)
class PresenceMaker:
    """How the suite gets nodes.

    :param make: gives a store that is not started, with the same data for the same name, as two nodes have it.
    :param advance: lets seconds pass for all of them.
    """

    make: Callable[[str], Presence]
    advance: Callable[[float], None]

    @asynccontextmanager
    async def nodes(self, name: str, count: int = 2) -> AsyncIterator[list[tuple[Presence, PresenceRecorder]]]:
        """So many nodes of one data; closed at the end, twice being once."""
        async with AsyncExitStack() as stack:
            found = []
            for _ in range(count):
                store, recorder = self.make(name), PresenceRecorder()
                await store.start(recorder)
                stack.push_async_callback(store.close)
                found.append((store, recorder))
            yield found
