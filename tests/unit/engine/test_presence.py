"""Presence on one node and on two that share a store, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.engine.rig import Client, Frame, Tokens
from tidings.brokers.memory import MemoryBroker
from tidings.brokers.memory_presence import MemoryBoard, MemoryPresence
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.engine.node import Node, Ports
from tidings.ports import Action
from tidings.testing.virtual import LoopClock, run_virtual

LIST = "gift-list:1"


@dataclass
class Rules:
    """Allows all; presence but for the users named."""

    hidden: set[str] = field(default_factory=set)

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        return True

    async def allows_presence(self, identity: Identity, topic: str) -> bool:
        await asyncio.sleep(0)
        return identity.user not in self.hidden


@asynccontextmanager
async def nodes(
    count: int = 1, *, limits: Limits | None = None, hidden: set[str] | None = None, kept: bool = True
) -> AsyncIterator[list[Node]]:
    limits, clock, board = limits or Limits(), LoopClock(), MemoryBoard()
    started = []
    for _ in range(count):
        ports = Ports(
            broker=MemoryBroker(limits, clock), authenticator=Tokens(), authorizer=Rules(hidden or set()), clock=clock,
            presence=MemoryPresence(board) if kept else None,
        )  # fmt: skip
        node = Node(ports, limits, Catalog(None))
        await node.start()
        started.append(node)
    try:
        yield started
    finally:
        for node in started:
            await node.close()


def virtual(work: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """The test on a loop whose clock jumps."""

    def run() -> None:
        run_virtual(work())  # type: ignore[arg-type]

    run.__name__, run.__doc__ = work.__name__, work.__doc__
    return run


async def until(client: Client, condition: Callable[[], Any]) -> None:
    """Wait in virtual time, which passes only while everything waits."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came true; the last frames: {client.frames[-5:]}")


async def answer(client: Client, frame_id: int) -> Frame:
    await until(client, lambda: any(frame.get("id") == frame_id for frame in client.frames))
    return next(frame for frame in client.frames if frame.get("id") == frame_id)


async def present(node: Node, user: str, state: dict[str, Any] | None = None, *, topic: str = LIST) -> Client:
    """A client that is present, and has been told who is."""
    client = Client(node, token=user)
    client.send(type="subscribe", topics=[topic], presence=True, id=1)
    if state is not None:
        client.send(type="presence", topic=topic, state=state)
    await until(client, lambda: any(frame["topic"] == topic for frame in client.of("members")))
    return client


def seen(client: Client, topic: str = LIST) -> dict[str, tuple[str, Any]]:
    """Session to user and state, as a client that follows the frames has it."""
    there: dict[str, tuple[str, Any]] = {}
    for frame in client.frames:
        if frame.get("topic") != topic:
            continue
        if frame.get("type") == "members" and "members" in frame:
            there.clear()
        for member in frame.get("members", []):
            there[member["session"]] = (member["user"], member["state"])
        for session in frame.get("sessions", []):
            there.pop(session, None)
    return there


def users(client: Client, topic: str = LIST) -> list[str]:
    return sorted(user for user, _ in seen(client, topic).values())


def kinds(client: Client) -> list[str]:
    return [frame["type"] for frame in client.frames if frame.get("type") in ("members", "joined", "left")]


@virtual
async def test_who_comes_is_told_who_is_there_and_the_others_that_it_came() -> None:
    async with nodes() as (node,):
        ana = await present(node, "ana", {"typing": False})
        ben = await present(node, "ben")
        await until(ana, lambda: users(ana) == ["ana", "ben"])
        assert seen(ana) == seen(ben) == {ana.connection.id: ("ana", {"typing": False}), ben.connection.id: ("ben", {})}
        assert kinds(ana) == ["members", "joined"]
        assert kinds(ben) == ["members"]


@virtual
async def test_members_follow_the_answer_to_the_subscribe() -> None:
    async with nodes() as (node,):
        ana = await present(node, "ana")
        types = [frame.get("type") for frame in ana.frames]
        assert types == ["welcome", "subscribed", "members"]


@virtual
async def test_a_presence_frame_alone_is_enough_on_a_topic_that_is_held() -> None:
    async with nodes() as (node,):
        ana = await present(node, "ana")
        ben = Client(node, token="ben")
        ben.send(type="subscribe", topics=[LIST], id=1)
        await answer(ben, 1)
        assert kinds(ben) == []
        ben.send(type="presence", topic=LIST, state={"at": 3})
        await until(ana, lambda: users(ana) == ["ana", "ben"])
        assert seen(ben)[ben.connection.id] == ("ben", {"at": 3})


@virtual
async def test_a_state_that_changes_is_told_as_joined_with_the_same_session() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        ben.send(type="presence", topic=LIST, state={"typing": True})
        await until(ana, lambda: seen(ana)[ben.connection.id] == ("ben", {"typing": True}))
        ben.send(type="presence", topic=LIST, state={"typing": True})
        await asyncio.sleep(1)
        assert [m["state"] for frame in ana.of("joined") for m in frame["members"]] == [{}, {"typing": True}]


@virtual
async def test_states_of_a_moment_are_told_once_with_the_last() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        before = len(ana.of("joined"))
        for number in range(10):
            ben.send(type="presence", topic=LIST, state={"n": number})
        await asyncio.sleep(1)
        told = ana.of("joined")[before:]
        assert [frame["members"][0]["state"] for frame in told] == [{"n": 9}]


@virtual
async def test_leaving_presence_is_told_at_once_and_events_go_on() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        ben.send(type="presence", topic=LIST, leave=True)
        await until(ana, lambda: users(ana) == ["ana"])
        told = len(ben.frames)
        ana.send(type="presence", topic=LIST, state={"n": 1})
        await asyncio.sleep(1)
        assert len(ben.frames) == told
        assert node.hub.listens(TopicKey(None, LIST))


@virtual
async def test_unsubscribing_is_leaving() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        ben.send(type="unsubscribe", topics=[LIST])
        await until(ana, lambda: users(ana) == ["ana"])


@virtual
async def test_a_goodbye_is_told_at_once() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        ben.connection.gone(goodbye=True)
        started = asyncio.get_running_loop().time()
        await until(ana, lambda: users(ana) == ["ana"])
        assert asyncio.get_running_loop().time() - started <= 0.11


@virtual
async def test_a_connection_that_is_lost_is_held_for_two_seconds() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        ben.connection.gone()
        await asyncio.sleep(1.9)
        assert users(ana) == ["ana", "ben"]
        await asyncio.sleep(0.2)
        assert users(ana) == ["ana"]


@virtual
async def test_who_is_back_within_two_seconds_was_never_away() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        before = len(kinds(ana))
        ben.connection.gone()
        await asyncio.sleep(1.5)
        again = await present(node, "ben")
        await asyncio.sleep(1)
        assert kinds(ana)[before:] == ["joined", "left"]  # in this order: the user is there all the time
        assert users(ana) == users(again) == ["ana", "ben"]


@virtual
async def test_a_server_that_sends_clients_away_holds_them_though_they_close_in_order() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        await asyncio.sleep(1)
        draining = asyncio.create_task(node.drain(5))
        await asyncio.sleep(0.5)
        ben.connection.gone(goodbye=True)
        await asyncio.sleep(0.5)
        assert users(ana) == ["ana", "ben"]
        await draining


@virtual
async def test_a_silent_client_is_gone_after_sixty_seconds() -> None:
    async with nodes() as (node,):
        ana, ben = await present(node, "ana"), await present(node, "ben")
        silent_since = asyncio.get_running_loop().time()
        while "ben" in users(ana):
            ana.send(type="ping")
            await asyncio.sleep(0.5)
            assert asyncio.get_running_loop().time() - silent_since <= 62
        assert ben.sink.closed is not None and ben.sink.closed[0] == 4408


@virtual
async def test_several_sessions_of_one_user_are_several_members() -> None:
    async with nodes() as (node,):
        one, two = await present(node, "ana"), await present(node, "ana")
        await until(one, lambda: users(one) == ["ana", "ana"])
        two.connection.gone(goodbye=True)
        await until(one, lambda: users(one) == ["ana"])


@virtual
async def test_tenants_never_see_each_other() -> None:
    """Invariant 13: the same topic, the same user, two tenants and none."""
    async with nodes(2) as both:
        clients = {t: await present(both[n % 2], f"ana{t}", {"secret": t}) for n, t in enumerate(["@a", "@b", ""])}
        await asyncio.sleep(1)
        for tenant, client in clients.items():
            assert [state for _, state in seen(client).values()] == [{"secret": tenant}]
            told = str(client.frames)
            assert not [other for other in clients if other and other != tenant and f"'secret': '{other}'" in told]
            for node in both:
                members = await node.presences.members(TopicKey(tenant.removeprefix("@") or None, LIST))
                assert [member.session for member in members] == [client.connection.id]


@virtual
async def test_two_nodes_see_each_other() -> None:
    async with nodes(2) as (here, there):
        ana = await present(here, "ana")
        ben = await present(there, "ben", {"at": 1})
        await until(ana, lambda: users(ana) == ["ana", "ben"])
        assert seen(ana) == seen(ben)
        ben.send(type="presence", topic=LIST, state={"at": 2})
        await until(ana, lambda: seen(ana)[ben.connection.id] == ("ben", {"at": 2}))
        ben.connection.gone(goodbye=True)
        await until(ana, lambda: users(ana) == ["ana"])


@virtual
async def test_a_wildcard_cannot_be_present() -> None:
    async with nodes() as (node,):
        ana = Client(node, token="ana")
        ana.send(type="subscribe", topics=["gift-list:*", LIST], presence=True, id=1)
        await until(ana, lambda: ana.of("members"))
        (error,) = ana.of("error")
        assert (error["code"], error["topic"], error["id"]) == ("no_presence", "gift-list:*", 1)
        assert list(ana.of("subscribed")[0]["topics"]) == [LIST]


@virtual
async def test_a_topic_that_is_not_held_cannot_be_present() -> None:
    async with nodes() as (node,):
        ana = Client(node, token="ana")
        ana.send(type="presence", topic=LIST, state={}, id=7)
        error = await answer(ana, 7)
        assert (error["code"], error["topic"]) == ("no_presence", LIST)


@virtual
async def test_who_may_not_be_present_may_follow_and_sees_nobody() -> None:
    async with nodes(hidden={"ben"}) as (node,):
        ana = await present(node, "ana")
        ben = Client(node, token="ben")
        ben.send(type="subscribe", topics=[LIST], presence=True, id=1)
        await until(ben, lambda: ben.of("error"))
        assert ben.of("error")[0]["code"] == "no_presence"
        assert list(ben.of("subscribed")[0]["topics"]) == [LIST]
        await asyncio.sleep(1)
        assert users(ana) == ["ana"]
        assert kinds(ben) == []


@virtual
async def test_a_broker_that_keeps_no_presence_says_so() -> None:
    async with nodes(kept=False) as (node,):
        ana = Client(node, token="ana")
        ana.send(type="subscribe", topics=[LIST], presence=True, id=1)
        await until(ana, lambda: ana.of("error"))
        assert ana.of("error")[0]["code"] == "no_presence"


@virtual
async def test_who_leaves_while_the_rules_are_asked_never_comes() -> None:
    async with nodes() as (node,):
        ana = await present(node, "ana")
        ben = Client(node, token="ben")
        ben.send(type="subscribe", topics=[LIST], presence=True, id=1)
        ben.send(type="presence", topic=LIST, leave=True)
        await answer(ben, 1)
        cara = Client(node, token="cara")
        cara.send(type="subscribe", topics=[LIST], presence=True, id=1)
        await until(cara, lambda: cara.of("subscribed"))
        cara.connection.gone()
        await asyncio.sleep(3)
        assert users(ana) == ["ana"]
        assert kinds(ben) == []
        assert node.statistics()["presence_sessions"] == 1


@virtual
async def test_too_many_states_a_second_are_refused_and_the_connection_stays() -> None:
    async with nodes(limits=Limits(presence_per_second=5)) as (node,):
        ana = await present(node, "ana")
        for number in range(20):
            ana.send(type="presence", topic=LIST, state={"n": number}, id=number)
        await asyncio.sleep(0.5)
        errors = ana.of("error")
        assert {error["code"] for error in errors} == {"rate_limited"}
        assert len(errors) == 10
        assert ana.sink.closed is None


@virtual
async def test_a_state_that_is_too_large_is_refused_with_its_size() -> None:
    async with nodes() as (node,):
        ana = await present(node, "ana", {"n": 1})
        ana.send(type="presence", topic=LIST, state={"x": "y" * 1_024}, id=3)
        error = await answer(ana, 3)
        assert error["code"] == "bad_frame"
        assert "1032 bytes" in error["message"]
        assert seen(ana)[ana.connection.id] == ("ana", {"n": 1})


def _sent(clients: list[Client]) -> list[Frame]:
    return [f for client in clients for f in client.frames if f.get("type") in ("members", "joined", "left")]


@pytest.mark.parametrize(("count", "seconds"), [(1_000, 0.0), (300, 1.0)], ids=["in one moment", "over a second"])
def test_a_burst_of_joins_costs_a_few_frames_each(count: int, seconds: float) -> None:
    """Told one by one, a join would be a frame for all: the square of the count."""

    async def work() -> None:
        limits = Limits(connections_per_user=0)
        async with nodes(limits=limits) as (node,):
            clients = [Client(node, token=f"u-{number}") for number in range(count)]
            for client in clients:
                client.send(type="subscribe", topics=[LIST], presence=True, id=1)
                if seconds:
                    await asyncio.sleep(seconds / count)
            await asyncio.sleep(5)
            assert all(len(seen(client)) == count for client in clients)
            assert len(_sent(clients)) <= (5 + 10 * seconds) * count  # ten times a second, as long as it lasts
            before = len(_sent(clients))
            for client in clients[1:]:
                client.connection.gone(goodbye=True)
            await asyncio.sleep(5)
            assert users(clients[0]) == ["u-0"]
            assert len(_sent(clients)) - before <= 5

    run_virtual(work())


@virtual
async def test_above_the_bound_members_are_counted_and_below_it_they_are_named_again() -> None:
    async with nodes(limits=Limits(presence_members=10)) as (node,):
        first = [await present(node, f"u-{number}") for number in range(10)]
        await asyncio.sleep(2)
        assert first[0].of("members")[-1]["complete"] is True
        more = [await present(node, f"v-{number}") for number in range(5)]
        await asyncio.sleep(3)
        for client in (first[0], more[-1]):
            assert (client.of("members")[-1]["complete"], client.of("members")[-1]["count"]) == (False, 15)
        quiet = len(first[0].of("joined"))
        for client in more[:3]:
            client.connection.gone(goodbye=True)
        await asyncio.sleep(3)
        assert "members" not in first[0].of("members")[-1]
        assert first[0].of("members")[-1]["count"] == 12
        for client in [*more[3:], first[-1]]:
            client.connection.gone(goodbye=True)
        await asyncio.sleep(3)
        assert first[0].of("members")[-1]["complete"] is True
        assert users(first[0]) == [f"u-{number}" for number in range(9)]
        assert len(first[0].of("joined")) == quiet


@virtual
async def test_a_list_is_bounded_in_bytes_too() -> None:
    async with nodes(limits=Limits(presence_list_bytes=5_000)) as (node,):
        for number in range(8):
            last = await present(node, f"u-{number}", {"x": "y" * 900})
        await asyncio.sleep(3)
        frame = last.of("members")[-1]
        assert (frame["complete"], frame["count"]) == (False, 8)
        assert len(str(frame)) < 6_000


@virtual
async def test_nothing_is_left_when_all_have_gone() -> None:
    async with nodes() as (node,):
        clients = [await present(node, f"u-{number}") for number in range(5)]
        for client in clients:
            client.connection.gone()
        await asyncio.sleep(3)
        assert node.statistics()["presence_topics"] == 0
        assert await node.presences.members(TopicKey(None, LIST)) == []


@virtual
async def test_a_session_that_is_not_present_has_no_seats() -> None:
    async with nodes() as (node,):
        ana = Client(node, token="ana")
        ana.send(type="subscribe", topics=[LIST], id=1)
        await answer(ana, 1)
        assert ana.connection.session._interest._seats is None
        assert node.presences._halls == {}
