"""The kit for an application's own tests: clients without sockets, under the application's real rules."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tidings import Access, Credentials, ErrorCode, Exclude, Identity, PeerError, Tidings, UsageError, testing
from tidings.brokers.memory import MemoryBroker
from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.limits import Limits
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.ports import CredentialSource, Receiver
from tidings.settings import Settings

LIST = "gift-list:1"


def sign_in(credentials: Credentials) -> Identity | None:
    """``good ana`` is Ana."""
    word, _, user = credentials.token.partition(" ")
    return Identity(user=user) if word == "good" else None


def made(**options: Any) -> Tidings:
    rules = {
        "gift-list:{list_id}": lambda who, list_id: list_id != "secret" or who.user == "ana",
        "gift-list:*": True,
        "chat:{room}": Access(subscribe=True, publish=lambda who, room: who.user == "ana"),
    }
    defaults: dict[str, Any] = {"authenticate": sign_in, "authorize": rules, "topics": ["gift-list", "chat"]}
    return Tidings(**defaults | options)


async def test_an_event_reaches_a_subscriber_and_nobody_else() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana, testing.connect(live, user="ben") as ben:
        started = await ana.subscribe(LIST)
        await ben.subscribe("gift-list:2")
        cursor = await live.publish(LIST, "ADDED", entity_id="kite", payload={"name": "A kite"})
        event = await ana.receive_event()
        assert (event.topic, event.event, event.entity_id, event.cursor) == (LIST, "ADDED", "kite", cursor)
        assert event.payload == {"name": "A kite"}
        assert started[LIST].reason is UnrecoveredReason.NO_CURSOR
        await ana.nothing_arrives()
        await ben.nothing_arrives()
        assert [frame.get("type") for frame in ana.frames] == ["welcome", "subscribed", None]
        assert ana.welcome["user"] == "ana"
        assert ana.events == [event]


async def test_nothing_arrives_fails_for_what_was_not_received_and_for_what_is_on_its_way() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe(LIST)
        await live.publish(LIST, "ADDED", entity_id="kite")
        with pytest.raises(testing.SomethingCame, match=f"ADDED of kite on {LIST}"):
            await ana.nothing_arrives()
        await ana.receive_event()
        publishing = asyncio.create_task(live.publish(LIST, "DELETED", entity_id="kite"))
        with pytest.raises(testing.SomethingCame, match="DELETED"):
            await ana.nothing_arrives()
        await publishing


async def test_what_does_not_come_is_said_with_what_came() -> None:
    async with testing.connect(made(), user="ana") as ana:
        with pytest.raises(testing.NothingCame, match=r"no event came within 0.01 seconds(?s:.*)welcome"):
            await ana.receive_event(timeout_seconds=0.01)
        with pytest.raises(testing.NothingCame, match="no close"):
            await ana.closed(timeout_seconds=0.01)


async def test_rules_are_asked() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana, testing.connect(live, user="ben") as ben:
        await ana.subscribe("gift-list:secret")
        with pytest.raises(testing.TopicDenied, match="ben may not subscribe to gift-list:secret") as denied:
            await ben.subscribe(LIST, "gift-list:secret")
        assert denied.value.code == ErrorCode.FORBIDDEN
        with pytest.raises(testing.TopicDenied, match="did you mean 'gift-list'"):
            await ben.subscribe("gift-lst:1")
        with pytest.raises(PeerError) as whole:
            await ben.subscribe(*(f"gift-list:{number}" for number in range(101)))
        assert whole.value.code is ErrorCode.TOO_MANY_TOPICS
        await live.publish(LIST, "ADDED", entity_id="kite")
        await live.publish("gift-list:secret", "ADDED", entity_id="kite")
        assert (await ben.receive_event()).topic == LIST  # of the frame, what was allowed
        await ben.nothing_arrives()


async def test_a_tenant_never_sees_anothers_event() -> None:
    live = made()
    async with (
        testing.connect(live, user="ana", tenant="t-1") as one,
        testing.connect(live, user="ana", tenant="t-2") as two,
    ):
        await one.subscribe(LIST)
        await two.subscribe(LIST)
        await live.publish(LIST, "ADDED", entity_id="kite", tenant="t-1")
        assert (await one.receive_event()).data.tenant_id == "t-1"
        await two.nothing_arrives()


async def test_a_token_goes_to_the_applications_authenticator_and_an_identity_does_not() -> None:
    live = made()
    async with testing.connect(live, token="good ana") as ana:
        assert ana.welcome["user"] == "ana"
    cookie = Credentials(token="good eve", source=CredentialSource.COOKIE)
    async with testing.connect(live, token=cookie) as eve:
        assert eve.welcome["user"] == "eve"
    with pytest.raises(testing.ConnectionEnded) as refused:
        async with testing.connect(live, token="bad ana"):
            raise AssertionError("it was let in")
    assert (refused.value.code, refused.value.reason) == (4401, "unauthorized")
    vouched = Identity(user="ben", tenant="t-1", claims={"role": "clerk"})
    async with testing.connect(live, identity=vouched) as ben:
        assert (ben.welcome["user"], ben.welcome["tenant"]) == ("ben", "t-1")


async def test_a_vouched_token_is_good_for_its_own_connection_alone() -> None:
    live = made()
    async with testing.connect(live, user="ana"):
        with pytest.raises(testing.ConnectionEnded):
            async with testing.connect(live, token="vouched for by the test, 1"):
                raise AssertionError("it was let in")


@pytest.mark.parametrize(
    "who", [{}, {"user": "ana", "token": "good ana"}, {"token": "good ana", "tenant": "t-1"}], ids=repr
)
async def test_who_a_client_is_has_one_source(who: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="one of user=, identity= and token="):
        async with testing.connect(made(), **who):  # type: ignore[arg-type]  # a wrong call is what is tested
            raise AssertionError("it was let in")


async def test_a_client_publishes_where_the_rules_allow_it() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana, testing.connect(live, user="ben") as ben:
        await ben.subscribe("chat:1")
        cursor = await ana.publish("chat:1", "SAID", entity_id=7, payload="hello", idempotency_key="k")
        assert await ana.publish("chat:1", "SAID", entity_id=7, payload="hello", idempotency_key="k") == cursor
        event = await ben.receive_event()
        assert (event.cursor, event.data.user_id, event.payload) == (cursor, "ana", "hello")
        await ben.nothing_arrives()
        with pytest.raises(testing.PublishFailed, match="ben may not publish") as refused:
            await ben.publish("chat:1", "SAID", entity_id=8)
        assert refused.value.code == ErrorCode.FORBIDDEN


async def test_who_comes_back_with_a_cursor_gets_what_was_missed() -> None:
    live = made()
    async with testing.connect(live, user="eve") as watcher:  # somebody stays, so the server does
        async with testing.connect(live, user="ana") as ana:
            await ana.subscribe(LIST)
            await live.publish(LIST, "ADDED", entity_id="kite")
            seen = (await ana.receive_event()).cursor
            assert seen is not None
        for number in range(250):  # more than a page
            await live.publish(LIST, "UPDATED", entity_id=number)
        async with testing.connect(live, user="ana") as again:
            assert (await again.subscribe(LIST, since=seen))[LIST].recovered
            assert [(await again.receive_event()).entity_id for _ in range(250)] == [str(n) for n in range(250)]
            await again.nothing_arrives()
            elsewhere = await again.subscribe("gift-list:2", since={"gift-list:2": seen})
            assert elsewhere["gift-list:2"].reason is UnrecoveredReason.EPOCH_CHANGED
        await watcher.nothing_arrives()


class FarBroker(MemoryBroker):
    """One across a network: live messages and history are on their way for a while."""

    SECONDS = 0.03

    def __init__(self) -> None:
        super().__init__(Limits(), SystemClock())

    async def start(self, receiver: Receiver) -> None:
        self.inner = receiver
        await super().start(self)

    def received(self, publication: Publication) -> None:
        asyncio.get_running_loop().call_later(self.SECONDS, self.inner.received, publication)

    def interrupted(self) -> None:
        self.inner.interrupted()

    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        await asyncio.sleep(self.SECONDS)
        return await super().history(key, since, limit)


async def test_settling_waits_for_a_recovery_under_way() -> None:
    live = made(broker=FarBroker())
    async with testing.started(live):
        start = await live.cursor(LIST)
        for number in range(250):
            await live.publish(LIST, "UPDATED", entity_id=number)
        async with testing.connect(live, user="ana") as ana:
            await ana.subscribe(LIST, since=start)
            await ana.settle()
            assert len(ana.events) == 250


async def test_settling_waits_for_what_is_on_its_way_from_the_broker() -> None:
    live = made(broker=FarBroker())
    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe(LIST)
        await live.publish(LIST, "ADDED", entity_id="kite")
        assert ana.events == []
        with pytest.raises(testing.SomethingCame):
            await ana.nothing_arrives()


async def test_leaving_wildcards_and_exclusion() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana, testing.connect(live, user="ben") as ben:
        await ana.subscribe(LIST)
        assert (await ben.subscribe("gift-list:*"))["gift-list:*"].cursor is None
        await live.publish(LIST, "ADDED", entity_id="kite", exclude=Exclude(session=ana.session))
        assert (await ben.receive_event()).entity_id == "kite"
        await ana.nothing_arrives()
        await ana.unsubscribe(LIST)
        await live.publish(LIST, "ADDED", entity_id="robot")
        await ana.nothing_arrives()
        assert (await ben.receive_event()).entity_id == "robot"


async def test_a_connection_that_the_server_ends() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe(LIST)
        assert await live.disconnect("ana") == 1
        assert await ana.closed() == 4401
        assert ana.close_code == 4401
        with pytest.raises(testing.ConnectionEnded, match="disconnected"):
            await ana.receive_event()
        with pytest.raises(testing.ConnectionEnded):
            await ana.subscribe(LIST)
        await ana.settle()
        assert live.node.statistics()["sockets"] == 0


async def test_a_client_that_goes_away_leaves_nothing() -> None:
    live = made()
    async with testing.connect(live, user="eve"):
        async with testing.connect(live, user="ana") as ana:
            await ana.subscribe(LIST)
        assert live.node.statistics()["sockets"] == 1
        with pytest.raises(testing.ConnectionEnded, match="closed by the test"):
            await ana.subscribe(LIST)


async def test_new_credentials_over_the_living_connection() -> None:
    live = made()
    async with testing.connect(live, user="ana") as ana:
        await ana.renew("good ana")
        with pytest.raises(PeerError) as refused:
            await ana.renew("bad ana")
        assert refused.value.code is ErrorCode.UNAUTHORIZED
        await ana.subscribe(LIST)
        with pytest.raises(PeerError) as another:
            await ana.renew(Identity(user="ben"))
        assert another.value.code is ErrorCode.IDENTITY_CHANGED
        assert await ana.closed() == 4403


async def test_limits_hold() -> None:
    live = made(settings=Settings(secret="0" * 32, limits=Limits(connections_per_user=1)), topics=None)
    async with testing.connect(live, user="ana"):
        with pytest.raises(testing.ConnectionEnded, match="1 is the limit") as refused:
            async with testing.connect(live, user="ana"):
                raise AssertionError("it was let in")
        assert refused.value.code == 4429


async def test_frames_of_ones_own() -> None:
    async with testing.connect(made(), user="ana") as ana:
        frame_id, before = ana.send(type="dance")
        error = await ana.receive("error", after=before)
        assert (error["code"], error["id"]) == ("unknown_type", frame_id)


# The server's life.


async def test_it_is_started_by_the_first_and_closed_by_the_last() -> None:
    live = made()
    first, second = testing.connect(live, user="ana"), testing.connect(live, user="ben")
    await first.__aenter__()
    ben = await second.__aenter__()
    await first.__aexit__(None, None, None)
    assert live.ready()
    await ben.subscribe(LIST)
    await second.__aexit__(None, None, None)
    assert not live.ready()


async def test_one_that_runs_already_goes_on() -> None:
    live = made()
    await live.start()
    async with testing.connect(live, user="ana"):
        pass
    assert live.ready()
    await live.close()


def test_plain_tests_one_loop_after_another_and_one_that_was_left_running() -> None:
    live = made()

    async def use() -> str:
        async with testing.connect(live, user="ana") as ana:
            await ana.subscribe(LIST)
            await live.publish(LIST, "ADDED", entity_id="kite")
            return (await ana.receive_event()).entity_id

    assert asyncio.run(use()) == "kite"
    assert asyncio.run(use()) == "kite"
    asyncio.run(live.start())  # and its loop ends without close()
    assert asyncio.run(use()) == "kite"


def test_one_of_another_loop_is_refused() -> None:
    live = made()

    async def use() -> None:
        async with testing.connect(live, user="ana"):
            raise AssertionError("it was let in")

    other = asyncio.new_event_loop()
    other.run_until_complete(live.start())
    try:
        with pytest.raises(UsageError, match="another event loop"):
            asyncio.run(use())
    finally:
        other.run_until_complete(live.close())
        other.close()


async def test_an_applications_endpoint_and_its_subscriber() -> None:
    live = made()
    app = FastAPI()
    live.mount(app)

    @app.post("/gifts/{name}")
    async def add(name: str) -> None:
        await live.publish(LIST, "ADDED", entity_id=name)

    @app.post("/plain/{name}")
    def add_plainly(name: str) -> None:
        live.publish_sync(LIST, "ADDED", entity_id=name)

    transport = httpx.ASGITransport(app=app)
    async with (
        testing.connect(live, user="ana") as ana,
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        await ana.subscribe(LIST)
        trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        await http.post("/gifts/kite", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
        event = await ana.receive_event()
        assert (event.entity_id, event.trace_id) == ("kite", trace_id)
        await http.post("/plain/robot")
        assert (await ana.receive_event()).entity_id == "robot"
