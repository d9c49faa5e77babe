"""Subscribing, leaving, recovering, leaving out, isolating: on the real node, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.engine.rig import Client, FaultyBroker, Rig, started
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.testing.virtual import run_virtual

LIST = "gift-list:1"


async def subscribed(client: Client, *topics: str, frame_id: int = 1, **fields: Any) -> dict[str, dict[str, object]]:
    client.send(type="subscribe", topics=list(topics), id=frame_id, **fields)
    answer = await client.answer(frame_id)
    await client.until(lambda: any(f.get("type") == "subscribed" and f.get("id") == frame_id for f in client.frames))
    del answer
    found = next(f for f in client.frames if f.get("type") == "subscribed" and f.get("id") == frame_id)
    topics_answer: dict[str, dict[str, object]] = found["topics"]
    return topics_answer


def on_node(test: Callable[[Rig], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        async with started(**options) as rig:  # type: ignore[arg-type]
            await test(rig)

    run_virtual(run())


def test_an_event_reaches_those_who_subscribed_and_nobody_else() -> None:
    async def test(rig: Rig) -> None:
        ana, ben, eve = rig.client("ana"), rig.client("ben"), rig.client("eve")
        await subscribed(ana, LIST)
        await subscribed(ben, LIST, "gift-list:2")
        await subscribed(eve, "gift-list:3")
        cursor = await rig.publish(LIST, 7)
        for client in (ana, ben):
            (event,) = client.of(None)
            assert (event["topic"], event["data"]["payload"], event["cursor"]) == (LIST, 7, cursor)
        assert eve.of(None) == []

    on_node(test)


def test_a_tenant_never_sees_anothers_event_of_the_same_name() -> None:
    async def test(rig: Rig) -> None:
        one, two = rig.client("ana@t-1"), rig.client("ana@t-2")
        await subscribed(one, LIST)
        await subscribed(two, LIST)
        await rig.publish(LIST, 1, tenant="t-1")
        await rig.settle()
        assert (one.offsets, two.offsets) == ([1], [])

    on_node(test)


def test_a_forbidden_topic_is_told_once_and_the_others_are_held() -> None:
    async def test(rig: Rig) -> None:
        rig.rules.denied.add("gift-list:9")
        client = rig.client()
        answer = await subscribed(client, LIST, "gift-list:9", "nocolon", frame_id=5)
        assert list(answer) == [LIST]
        errors = [(f["code"], f["topic"], f["id"]) for f in client.of("error")]
        assert sorted(errors) == [("bad_topic", "nocolon", 5), ("forbidden", "gift-list:9", 5)]
        kinds = [f["type"] for f in client.frames]
        assert kinds[-1] == "subscribed", "the errors come before the answer"

    on_node(test)


def test_what_was_missed_follows_the_answer_in_order() -> None:
    async def test(rig: Rig) -> None:
        first = await rig.publish(LIST, 1)
        for number in range(2, 8):
            await rig.publish(LIST, number)
        client = rig.client()
        answer = await subscribed(client, LIST, since={LIST: first})
        assert answer == {LIST: {"cursor": first, "recovered": True}}
        await client.until(lambda: client.offsets == [2, 3, 4, 5, 6, 7])

    on_node(test)


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (None, "no_cursor"),
        ("rubbish", "bad_cursor"),
        ("elsewhere-3", "epoch_changed"),
        ("{epoch}-99", "ahead"),
        ("{epoch}-0", "too_many"),
        ("{epoch}-3", "trimmed"),
        ("{epoch}-5", None),
    ],
)
def test_why_it_was_not_recovered(since: str | None, reason: str | None) -> None:
    async def test(rig: Rig) -> None:
        for number in range(1, 10):
            await rig.publish(LIST, number)
        head = (await rig.publish(LIST, 10)).rpartition("-")
        client = rig.client()
        fields: dict[str, Any] = {} if since is None else {"since": {LIST: since.format(epoch=head[0])}}
        (answer,) = (await subscribed(client, LIST, **fields)).values()
        assert answer.get("reason") == reason
        assert answer["recovered"] is (reason is None)
        if reason is not None:
            assert answer["cursor"] == "-".join((head[0], "10"))
        await rig.publish(LIST, 11)
        await client.until(lambda: client.offsets[-1:] == [11])

    on_node(test, limits=Limits(history_events=6, recovery_events=8))


def test_a_topic_that_is_held_already_replays_nothing() -> None:
    async def test(rig: Rig) -> None:
        first = await rig.publish(LIST, 1)
        client = rig.client()
        await subscribed(client, LIST, since={LIST: first})
        last = await rig.publish(LIST, 2)
        answer = await subscribed(client, LIST, since={LIST: first}, frame_id=2)
        assert answer == {LIST: {"cursor": last, "recovered": True}}
        await rig.settle()
        assert client.offsets == [2]

    on_node(test)


def test_unsubscribe_cancels_a_subscribe_under_way() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await client.until(lambda: client.of("welcome"))
        client.send(type="subscribe", topics=[LIST], id=1)
        client.send(type="unsubscribe", topics=[LIST], id=2)
        await client.answer(2)
        await rig.settle()
        await rig.publish(LIST, 1)
        await rig.settle()
        assert client.of(None) == []
        assert [f["topics"] for f in client.of("subscribed")] == [{}]
        assert rig.node.hub.statistics()["topics"] == 0

    on_node(test)


def test_when_all_have_left_nothing_is_held() -> None:
    async def test(rig: Rig) -> None:
        clients = [rig.client(f"u-{number}") for number in range(5)]
        for client in clients:
            await subscribed(client, LIST, "gift-list:2", "gift-list:*")
        for client in clients:
            client.connection.gone()
        await asyncio.sleep(5)
        statistics = rig.node.statistics()
        assert {name: count for name, count in statistics.items() if count} == {}

    on_node(test)


def test_exclude_by_user_holds_live_and_in_recovery() -> None:
    async def test(rig: Rig) -> None:
        ana, ben = rig.client("ana"), rig.client("ben")
        start = await rig.publish(LIST, 1)
        await subscribed(ana, LIST)
        await subscribed(ben, LIST)
        await rig.publish(LIST, 2, exclude=Exclude(user="ana"))
        await rig.publish(LIST, 3)
        await rig.settle()
        assert (ana.offsets, ben.offsets) == ([3], [2, 3])
        again, other = rig.client("ana"), rig.client("ben")
        await subscribed(again, LIST, since={LIST: start})
        await subscribed(other, LIST, since={LIST: start})
        await rig.settle()
        assert (again.offsets, other.offsets) == ([3], [2, 3])

    on_node(test)


def test_exclude_by_session_leaves_out_that_connection_only() -> None:
    async def test(rig: Rig) -> None:
        here, there = rig.client("ana"), rig.client("ana")
        start = await rig.publish(LIST, 1)
        for client in (here, there):
            await subscribed(client, LIST)
        await rig.publish(LIST, 2, exclude=Exclude(session=here.connection.session.id))
        await rig.settle()
        assert (here.offsets, there.offsets) == ([], [2])
        here.send(type="unsubscribe", topics=[LIST], id=8)
        await here.answer(8)
        await subscribed(here, LIST, since={LIST: start}, frame_id=9)
        await rig.settle()
        assert here.offsets == [], "in recovery too, as long as the session lives"

    on_node(test)


def test_a_wildcard_gets_every_topic_of_its_type_and_a_topic_by_name_only_once() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await rig.publish("gift-list:9")
        answer = await subscribed(client, "gift-list:*", LIST)
        assert answer["gift-list:*"] == {"cursor": None, "recovered": False, "reason": "no_history"}
        for topic in (LIST, "gift-list:2", "other:1", LIST):
            await rig.publish(topic)
        await rig.settle()
        assert [event["topic"] for event in client.of(None)] == [LIST, "gift-list:2", LIST]

    on_node(test)


def test_one_broken_sink_harms_nobody_else() -> None:
    async def test(rig: Rig) -> None:
        clients = [rig.client(f"u-{number}") for number in range(3)]
        for client in clients:
            await subscribed(client, LIST)

        def broken(framed: object) -> None:
            raise RuntimeError("a bug of a transport")

        clients[1].connection.session.push = broken
        await rig.publish(LIST, 1)
        await rig.settle()
        assert (clients[0].offsets, clients[2].offsets) == ([1], [1])
        assert clients[1].sink.closed == (1011, "internal error")

    on_node(test)


def test_missed_events_go_out_in_pages_as_the_sink_drains() -> None:
    async def test(rig: Rig) -> None:
        start = await rig.publish(LIST, 1)
        for number in range(2, 41):
            await rig.publish(LIST, number)
        client = rig.client()
        client.sink.drain = asyncio.Event()
        await subscribed(client, LIST, since={LIST: start})
        await rig.settle()
        assert client.offsets == list(range(2, 12)), "one page, and no more while the reader is slow"
        await rig.publish(LIST, 41)
        client.sink.drain.set()
        await client.until(lambda: client.offsets == list(range(2, 42)))
        await rig.publish(LIST, 42)
        await client.until(lambda: client.offsets[-1] == 42)

    on_node(test, limits=Limits(page_events=10))


def test_large_events_are_paged_by_their_bytes_and_several_topics_take_turns() -> None:
    async def test(rig: Rig) -> None:
        topics = [f"gift-list:{number}" for number in range(4)]
        since = {topic: await rig.publish(topic, 0) for topic in topics}
        for number in range(1, 21):
            for topic in topics:
                await rig.publish(topic, number, note="x" * 900)
        client = rig.client()
        client.sink.drain = asyncio.Event()
        await subscribed(client, *topics, since=since)
        await rig.settle()
        assert 1 <= len(client.of(None)) <= 5, "one page of 4,000 bytes, while the reader is slow"
        client.sink.drain.set()
        await client.until(lambda: len(client.of(None)) == 80)
        for topic in topics:
            assert [f["data"]["payload"]["n"] for f in client.of(None) if f["topic"] == topic] == list(range(1, 21))
        await rig.publish(topics[0], 21)
        await client.until(lambda: len(client.of(None)) == 81)

    on_node(test, limits=Limits(page_bytes=4_000))


def test_a_transport_that_waits_for_room_reads_on() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await client.until(lambda: client.of("welcome"))
        client.send(type="subscribe", topics=[LIST, "gift-list:2"], id=1)
        client.send(type="subscribe", topics=["gift-list:3", "gift-list:4"], id=2)
        async with asyncio.timeout(5):
            await client.connection.caught_up()
        await client.answer(2)

    on_node(test, limits=Limits(waiting_frames=1))


def test_a_stream_that_breaks_is_told_to_those_who_are_live() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client, LIST)
        await rig.publish(LIST, 1)
        inner = rig.broker.inner  # type: ignore[attr-defined]
        inner._topics.clear()  # the broker lost its data: the next event begins a new epoch
        cursor = await rig.publish(LIST, 2)
        await client.until(lambda: len(client.of("subscribed")) == 2)
        news = client.of("subscribed")[1]
        assert news["topics"][LIST]["reason"] == "epoch_changed"
        assert news["topics"][LIST]["recovered"] is False
        assert "id" not in news
        assert news["topics"][LIST]["cursor"] == cursor

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [0], ["pass"]))


def test_a_broker_that_is_down_is_told_and_the_topic_is_live_when_it_is_back() -> None:
    async def test(rig: Rig) -> None:
        broker = rig.broker
        assert isinstance(broker, FaultyBroker)
        broker.down = True
        client = rig.client()
        (answer,) = (await subscribed(client, LIST)).values()
        assert (answer["cursor"], answer["recovered"], answer["reason"]) == (None, False, "unavailable")
        await asyncio.sleep(2)
        broker.down = False
        await asyncio.sleep(6)
        news = client.of("subscribed")[-1]["topics"][LIST]
        assert (news["recovered"], news["reason"]) == (False, "unavailable")
        assert news["cursor"] is not None
        await rig.publish(LIST, 1)
        await rig.settle()
        assert client.offsets == [1]

    on_node(test, wrap=lambda inner: FaultyBroker(inner, [0], ["pass"]))


def test_connections_per_user_end_at_the_limit_and_leaving_makes_room() -> None:
    async def test(rig: Rig) -> None:
        first, second, third = (rig.client("ana") for _ in range(3))
        await rig.settle()
        assert third.sink.closed == (4429, "too_many_connections")
        assert not third.of("welcome"), "who is not admitted is not welcomed"
        assert (first.sink.closed, second.sink.closed) == (None, None)
        first.connection.gone()
        fourth = rig.client("ana")
        await fourth.until(lambda: fourth.of("welcome"))

    on_node(test, limits=Limits(connections_per_user=2))


def test_disconnect_ends_a_user_of_one_tenant() -> None:
    async def test(rig: Rig) -> None:
        here, there = rig.client("ana@t-1"), rig.client("ana@t-2")
        await rig.settle()
        assert await rig.node.disconnect(user="ana", tenant="t-1", session=None) == 1
        assert (here.sink.closed, there.sink.closed) == ((4401, "disconnected"), None)
        session = there.connection.id
        assert await rig.node.disconnect(user=None, tenant="t-1", session=session) == 0, "another tenant's session"
        assert await rig.node.disconnect(user=None, tenant="t-2", session=session) == 1

    on_node(test)


def test_declared_types_refuse_an_unknown_one_with_the_nearest_name() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client()
        await subscribed(client, "gift:1", "gifts:1", "user:u-1")
        (error,) = client.of("error")
        assert error["code"] == "unknown_topic_type"
        assert "did you mean 'gifts'" in error["message"]

    on_node(test, topics=["gifts", "list:{list_id}"])


def test_an_undeclared_type_that_nothing_publishes_is_warned_of() -> None:
    async def test(rig: Rig) -> None:
        await rig.publish("gifts:1")
        client = rig.client()
        answer = await subscribed(client, "gift:1", "gifts:1")
        assert "did you mean 'gifts'" in str(answer["gift:1"]["warning"])
        assert "warning" not in answer["gifts:1"]

    on_node(test)


def test_a_client_publishes_as_itself_and_only_where_allowed() -> None:
    async def test(rig: Rig) -> None:
        rig.rules.publishing.add(LIST)
        ana, ben = rig.client("ana@t-1"), rig.client("ben@t-1")
        await subscribed(ben, LIST)
        event = {"event": "UPDATED", "data": {"entity_id": "g", "payload": {"a": 1}, "user_id": "ben"}}
        ana.send(type="publish", topic=LIST, id=3, idempotency_key="k", **event)
        published = await ana.answer(3)
        ana.send(type="publish", topic=LIST, id=4, idempotency_key="k", **event)
        assert (await ana.answer(4))["cursor"] == published["cursor"], "one key, one event"
        other = rig.client("eve@t-1")
        other.send(type="publish", topic=LIST, id=1, idempotency_key="k", **event)
        assert (await other.answer(1))["cursor"] != published["cursor"], "nobody can take another's key"
        ana.send(type="publish", topic="gift-list:2", id=5, **event)
        refused = await ana.answer(5)
        assert (refused["type"], refused["code"], refused["topic"]) == ("error", "forbidden", "gift-list:2")
        await rig.settle()
        seen = [(event["data"]["user_id"], event["data"]["tenant_id"]) for event in ben.of(None)]
        assert seen == [("ana", "t-1"), ("eve", "t-1")]

    on_node(test)


def test_a_renewed_token_with_fewer_rights_loses_topics() -> None:
    async def test(rig: Rig) -> None:
        client = rig.client("ana")
        await subscribed(client, LIST, "gift-list:2")
        rig.rules.denied.add(LIST)
        client.send(type="auth", token="ana!600", id=7)
        await client.until(lambda: client.of("unsubscribed"))
        (taken,) = client.of("unsubscribed")
        assert (taken["topics"], taken["reason"]) == ([LIST], "permission_changed")
        await rig.publish(LIST)
        await rig.publish("gift-list:2")
        await rig.settle()
        assert [event["topic"] for event in client.of(None)] == ["gift-list:2"]

    on_node(test)


def test_frames_that_come_before_the_token_is_checked_are_not_lost() -> None:
    async def test(rig: Rig) -> None:
        rig.tokens.delay = asyncio.Event()
        client = rig.client("ana")
        client.send(type="subscribe", topics=[LIST], id=1)
        await rig.settle()
        assert client.frames == []
        rig.tokens.delay.set()
        await client.answer(1)
        assert [f["type"] for f in client.frames] == ["welcome", "subscribed"]

    on_node(test)


def test_a_walk_in_slices_serves_everybody_and_later_events_wait_their_turn() -> None:
    async def test(rig: Rig) -> None:
        clients = [rig.client(f"u-{number}") for number in range(600)]
        for client in clients:
            await subscribed(client, LIST)
        times = iter(range(10**6))
        rig.node.feeds._clock.monotonic = lambda: float(next(times))  # type: ignore[method-assign]
        for feed in rig.node.feeds._feeds.values():
            feed._clock = rig.node.feeds._clock
        for number in (1, 2, 3):
            await rig.publish(LIST, number)
        assert clients[-1].offsets == [], "the first slice ends at its bound of time"
        clients[-2].send(type="unsubscribe", topics=[LIST], id=5)  # in the middle of the walk
        joined = rig.client("late")
        joined.send(type="subscribe", topics=[LIST], id=1)
        await clients[-1].until(lambda: clients[-1].offsets == [1, 2, 3])
        left = clients.pop(-2)
        assert (left.offsets, left.frames[-1]["type"]) == ([], "unsubscribed"), "after that, silence"
        assert all(client.offsets == [1, 2, 3] for client in clients)
        await joined.answer(1)
        start = int(joined.of("subscribed")[0]["topics"][LIST]["cursor"].rpartition("-")[2])
        await joined.until(lambda: joined.offsets == list(range(start + 1, 4)))

    on_node(test)
