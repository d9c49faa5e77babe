"""The rules of ``tidings.ports.Presence`` as checks: for the stores that we ship, and for yours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidings.core.topics import TopicKey
from tidings.ports import Presence
from tidings.testing.presence_rig import PresenceMaker, member

_LIST = TopicKey(None, "gift-list:1")
PARTING_SECONDS_MAX = 5.0


async def who_watches_is_told_who_is_there(maker: PresenceMaker) -> None:
    """Also of members that came before; an empty list is told too."""
    async with maker.nodes("there") as ((here, seen), (there, _)):
        here.watch(_LIST)
        await seen.until(_LIST)
        here.unwatch(_LIST)
        there.enter(_LIST, member("s-1", typing=True))
        here.watch(_LIST)
        await seen.until(_LIST, member("s-1", typing=True))


async def comings_changes_and_leavings_are_told(maker: PresenceMaker) -> None:
    """In the end all nodes have the same."""
    async with maker.nodes("news") as ((here, seen), (there, _)):
        here.watch(_LIST)
        there.enter(_LIST, member("s-1"))
        there.enter(_LIST, member("s-2", "ben"))
        await seen.until(_LIST, member("s-1"), member("s-2", "ben"))
        there.enter(_LIST, member("s-1", typing=True))
        await seen.until(_LIST, member("s-1", typing=True), member("s-2", "ben"))
        there.exit(_LIST, "s-1")
        await seen.until(_LIST, member("s-2", "ben"))
        there.enter(_LIST, member("s-1", back=True))
        await seen.until(_LIST, member("s-1", back=True), member("s-2", "ben"))


async def the_newest_state_holds(maker: PresenceMaker) -> None:
    """However fast they follow one another."""
    async with maker.nodes("newest") as ((here, seen), (there, _)):
        here.watch(_LIST)
        for number in range(100):
            there.enter(_LIST, member("s-1", n=number))
        there.exit(_LIST, "s-1")
        there.enter(_LIST, member("s-1", n=100))
        await seen.until(_LIST, member("s-1", n=100))


async def a_node_is_not_told_of_its_own(maker: PresenceMaker) -> None:
    """It knows them, and late news of itself would undo newer ones."""
    async with maker.nodes("own") as ((here, seen), (there, _)):
        here.watch(_LIST)
        here.enter(_LIST, member("mine"))
        there.enter(_LIST, member("other"))
        await seen.until(_LIST, member("other"))
        here.exit(_LIST, "mine")
        there.exit(_LIST, "other")
        await seen.until(_LIST)


async def keys_never_meet(maker: PresenceMaker) -> None:
    """Neither tenants, nor topics, nor names that only look alike when joined."""
    keys = [_LIST, TopicKey("a", _LIST.topic), TopicKey("", _LIST.topic), TopicKey(None, "gift-list:2")]
    keys += [TopicKey("a:b", "x:c"), TopicKey("a", "b:x:c"), TopicKey("a_b", "x:c"), TopicKey("\ud800", "x:c")]
    async with maker.nodes("keys") as ((here, seen), (there, _)):
        for number, key in enumerate(keys):
            here.watch(key)
            there.enter(key, member(f"s-{number}", n=number))
        for number, key in enumerate(keys):
            await seen.until(key, member(f"s-{number}", n=number))
            assert list(await here.members(key)) == [member(f"s-{number}", n=number)], f"{key} shows others' members"


async def only_watched_keys_are_told(maker: PresenceMaker) -> None:
    """A node that watches nothing pays nothing."""
    other = TopicKey(None, "gift-list:2")
    async with maker.nodes("watched") as ((here, seen), (there, _)):
        here.watch(_LIST)
        here.watch(other)
        await seen.until(other)
        here.unwatch(other)
        await asyncio.sleep(0)
        there.enter(other, member("s-1"))
        there.enter(_LIST, member("s-2"))
        await seen.until(_LIST, member("s-2"))
        assert not seen.there.get(other), "news of a key that is watched no longer"


async def members_are_those_of_all_nodes(maker: PresenceMaker) -> None:
    """Asked from any, watching or not."""
    async with maker.nodes("all", 3) as ((here, _), (there, seen), (elsewhere, _)):
        there.watch(_LIST)
        here.enter(_LIST, member("s-1"))
        there.enter(_LIST, member("s-2"))
        await seen.until(_LIST, member("s-1"))
        assert {one.session for one in await there.members(_LIST)} == {"s-1", "s-2"}
        assert {one.session for one in await here.members(_LIST)} >= {"s-1"}
        assert {one.session for one in await elsewhere.members(_LIST)} >= {"s-1"}


async def a_closed_node_has_no_members(maker: PresenceMaker) -> None:
    """Within five seconds."""
    async with maker.nodes("closed") as ((here, seen), (there, _)):
        here.watch(_LIST)
        here.enter(_LIST, member("mine"))
        there.enter(_LIST, member("s-1"))
        await seen.until(_LIST, member("s-1"))
        await there.close()
        maker.advance(PARTING_SECONDS_MAX)
        await seen.until(_LIST)
        assert [one.session for one in await here.members(_LIST)] == ["mine"]


async def living_nodes_stay(maker: PresenceMaker) -> None:
    """However long: who lives renews what says so."""
    async with maker.nodes("living") as ((here, seen), (there, _)):
        here.watch(_LIST)
        there.enter(_LIST, member("s-1"))
        await seen.until(_LIST, member("s-1"))
        for number in range(20):
            maker.advance(9.0)
            there.enter(_LIST, member("s-1", n=number))
            await seen.until(_LIST, member("s-1", n=number))


@dataclass(frozen=True)
class PresenceCheck:
    """One rule."""

    name: str
    run: Callable[[PresenceMaker], Awaitable[None]]


PRESENCE_CHECKS: tuple[PresenceCheck, ...] = tuple(
    PresenceCheck(rule.__name__, rule)
    for rule in (
        who_watches_is_told_who_is_there,
        comings_changes_and_leavings_are_told,
        the_newest_state_holds,
        a_node_is_not_told_of_its_own,
        keys_never_meet,
        only_watched_keys_are_told,
        members_are_those_of_all_nodes,
        a_closed_node_has_no_members,
        living_nodes_stay,
    )
)


async def check_presence(make: Callable[[str], Presence], advance: Callable[[float], None]) -> None:
    """Run all checks; raise ExceptionGroup with one AssertionError for each rule that is broken.

    :param make: gives a store that is not started; those of one name are nodes of one broker.
    :param advance: lets seconds pass for all of them, as by a FakeClock that they share.
    """
    failures: list[Exception] = []
    for check in PRESENCE_CHECKS:
        try:
            await check.run(PresenceMaker(make, advance))
        except Exception as error:
            error.add_note(f"the rule: {check.name}")
            failures.append(error)
    if failures:
        raise ExceptionGroup("the store breaks rules of tidings.ports.Presence", failures)
