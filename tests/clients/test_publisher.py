"""The publishers against a real server: what they send, repeat, and say when it cannot be done."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import Server
from tests.faults.proxy import FaultProxy, fault_proxy
from tidings import Exclude, PublishError, UsageError, outgoing
from tidings.client import connect
from tidings.publisher import AsyncPublisher, Publisher, Refused, Unreachable
from tidings.publisher.requests import pause_seconds, publishing

_topics = (f"gift-list:publisher-{n}" for n in range(1_000))


@pytest.fixture
def topic() -> str:
    return next(_topics)


class Caller:
    """One of the two, called in the same way."""

    def __init__(self, made: Publisher | AsyncPublisher) -> None:
        self.made = made

    async def __call__(self, name: str, *args: Any, **options: Any) -> Any:
        method = getattr(self.made, name)
        if inspect.iscoroutinefunction(method):
            return await method(*args, **options)
        return await asyncio.to_thread(method, *args, **options)


@pytest.fixture(params=[Publisher, AsyncPublisher], ids=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> type[Publisher | AsyncPublisher]:
    chosen: type[Publisher | AsyncPublisher] = request.param
    return chosen


@pytest.fixture
async def ask(kind: type[Publisher | AsyncPublisher], server: Server) -> AsyncIterator[Caller]:
    one = Caller(kind(server.url, server.api_key))
    yield one
    await one("close")


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[FaultProxy]:
    port = urlsplit(server.url).port
    assert port is not None
    async with fault_proxy(port) as one:
        yield one


async def received(server: Server, topic: str, count: int, since: str) -> list[Any]:
    events = []
    async with asyncio.timeout(10), connect(server.url, token=server.token()) as live:
        async for event in live.subscribe(topic, since=since):
            events.append(event)
            if len(events) == count:
                return events
    raise AssertionError("unreachable")


async def test_an_event_arrives_with_all_that_it_was_given(ask: Caller, server: Server, topic: str) -> None:
    before = (await ask("cursors", topic))[topic]
    when = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
    cursor = await ask(
        "publish", topic, "UPDATED", entity_id=7, payload={"when": when}, user_id="u-2", timestamp=when,
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736", version=3, exclude=Exclude(user="u-9"), idempotency_key="k-1",
    )  # fmt: skip
    assert cursor == await ask("publish", topic, "UPDATED", entity_id=8, idempotency_key="k-1"), "stored twice"
    await ask("publish", topic, "DELETED", entity_id=7)
    first, last = await received(server, topic, 2, before)
    assert (first.cursor, first.event, first.entity_id) == (cursor, "UPDATED", "7")
    assert first.payload == {"when": "2026-11-24T03:04:05Z"}
    assert (first.data.user_id, first.data.timestamp) == ("u-2", "2026-11-24T03:04:05.000Z")
    assert (first.trace_id, first.version) == ("4bf92f3577b34da6a3ce929d0e0e4736", 3)
    assert last.event == "DELETED"
    assert await ask("cursor_header", topic) == f"{topic}={last.cursor}"


async def test_many_go_out_in_their_order(ask: Caller, server: Server, topic: str) -> None:
    before = (await ask("cursors", topic))[topic]
    events = [outgoing(topic, "UPDATED", entity_id=n) for n in range(700)]
    cursors = await ask("publish_many", events)
    assert len(set(cursors)) == 700
    assert [event.entity_id for event in await received(server, topic, 700, before)] == [str(n) for n in range(700)]
    assert await ask("publish_many", []) == []


def test_requests_stay_within_the_servers_bounds() -> None:
    small = [outgoing("gift-list:1", "UPDATED", entity_id=n) for n in range(1_001)]
    assert [len(request.idempotency_keys) for request in publishing(small)] == [500, 500, 1]
    large = [outgoing("gift-list:1", "UPDATED", entity_id=n, payload="x" * 100_000) for n in range(12)]
    assert [len(request.idempotency_keys) for request in publishing(large)] == [5, 5, 2]
    assert all(len(request.body or b"") < 1_000_000 for request in publishing(large))


async def test_a_token_lets_a_page_in_and_disconnect_sends_it_away(ask: Caller, server: Server, topic: str) -> None:
    token = await ask("token", f"user-of-{topic[10:]}", subscribe=[topic], ttl_seconds=60)
    async with connect(server.url, token=token) as live:
        await live.wait_live()
        assert await ask("disconnect", f"user-of-{topic[10:]}") == 1
    assert await ask("disconnect", "nobody") == 0


@pytest.mark.parametrize("lost", ["publish", "answer"])
async def test_what_got_no_answer_is_sent_again_and_stored_once(
    kind: type[Publisher | AsyncPublisher], server: Server, proxy: FaultProxy, topic: str, lost: str
) -> None:
    ask = Caller(kind(f"{proxy.http}/realtime", server.api_key))
    before = (await ask("cursors", topic))[topic]
    if lost == "answer":
        proxy.set("/realtime/publish", eat_replies=True, cut_how="rst")
    else:
        proxy.set("/realtime/publish", reset=True)
    publishing = asyncio.create_task(ask("publish", topic, "UPDATED", entity_id="once"))
    await proxy.until(lambda: proxy.requests["/realtime/publish"] >= 1)
    if lost == "answer":
        await proxy.until(lambda: proxy.eaten["/realtime/publish"] >= 1)
        proxy.cut("/realtime/publish", how="rst")
    proxy.heal()
    cursor = await publishing
    await ask("publish", topic, "UPDATED", entity_id="fence")
    once, fence = await received(server, topic, 2, before)
    assert (once.cursor, once.entity_id, fence.entity_id) == (cursor, "once", "fence")
    await ask("close")


async def test_a_connection_that_was_closed_while_idle_costs_nothing(
    kind: type[Publisher | AsyncPublisher], server: Server, proxy: FaultProxy, topic: str
) -> None:
    ask = Caller(kind(f"{proxy.http}/realtime", server.api_key))
    first = await ask("publish", topic, "UPDATED", entity_id=1)
    proxy.cut(how="fin")
    second = await ask("publish", topic, "UPDATED", entity_id=2)
    await ask("close")
    assert first.partition("-")[2] == "1" and second.partition("-")[2] == "2"


async def test_a_server_that_is_away_is_told_with_the_keys(
    kind: type[Publisher | AsyncPublisher], unused_tcp_port: int, topic: str
) -> None:
    ask = Caller(kind(f"http://127.0.0.1:{unused_tcp_port}", "key", timeout_seconds=0.5))
    with pytest.raises(Unreachable, match="a repeat with the same idempotency key is safe") as caught:
        await ask("publish", topic, "UPDATED", entity_id=1, idempotency_key="mine")
    assert caught.value.idempotency_keys == ("mine",)
    with pytest.raises(Unreachable, match="ConnectionRefusedError") as caught:
        await ask("cursors", topic)
    assert caught.value.idempotency_keys == ()


async def test_a_server_that_says_later_is_asked_later(
    kind: type[Publisher | AsyncPublisher], server: Server, proxy: FaultProxy, topic: str
) -> None:
    ask = Caller(kind(f"{proxy.http}/realtime", server.api_key))
    proxy.set(answer=503)
    publishing = asyncio.create_task(ask("publish", topic, "UPDATED", entity_id=1))
    await proxy.until(lambda: proxy.requests["/realtime/publish"] >= 2)
    proxy.heal()
    assert (await publishing).partition("-")[2] == "1"
    await ask("close")


async def test_a_refusal_is_told_at_once(
    kind: type[Publisher | AsyncPublisher], server: Server, proxy: FaultProxy, topic: str
) -> None:
    stranger = Caller(kind(f"{proxy.http}/realtime", "no key of this server"))
    with pytest.raises(Refused, match="unauthorized") as caught:
        await stranger("publish", topic, "UPDATED", entity_id=1)
    assert caught.value.code == "unauthorized"
    assert proxy.requests["/realtime/publish"] == 1
    elsewhere = Caller(kind(f"{proxy.http}/elsewhere", server.api_key))
    with pytest.raises(Refused):
        await elsewhere("cursors", topic)
    proxy.set(answer=200)  # a page of somebody else's
    with pytest.raises(Refused, match="is this a Tidings server"):
        await stranger("cursors", topic)
    await stranger("close")
    await elsewhere("close")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"topic": "No Topic"}, PublishError, "bad_topic"),
        ({"payload": object()}, PublishError, r"data\.payload"),
        ({"payload": "x" * 200_000}, PublishError, "payload_too_large"),
        ({"entity_id": None}, PublishError, "entity_id"),
        ({"timestamp": datetime(2026, 1, 1)}, UsageError, "time zone"),
        ({"idempotency_key": "x" * 1_000}, UsageError, "idempotency_key"),
    ],
)
def test_a_bad_event_is_refused_before_it_is_sent(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    good: dict[str, Any] = {"topic": "gift-list:1", "event": "UPDATED", "entity_id": "e", "payload": None}
    given = good | options
    with pytest.raises(error, match=message):
        Publisher("http://127.0.0.1:1", "key").publish(given.pop("topic"), given.pop("event"), **given)


@pytest.mark.parametrize(("url", "key"), [("live.example.com", "k"), ("http://x", ""), ("http://x", "a\nb")])
def test_a_bad_address_or_key_is_told_when_it_is_made(
    kind: type[Publisher | AsyncPublisher], url: str, key: str
) -> None:
    with pytest.raises(UsageError):
        kind(url, key)


def test_threads_share_one_publisher(server: Server, topic: str) -> None:
    publisher = Publisher(server.url, server.api_key)
    cursors: list[str] = []

    def work(number: int) -> None:
        cursors.extend(publisher.publish(topic, "UPDATED", entity_id=f"{number}-{n}") for n in range(10))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publisher.close()
    assert len(set(cursors)) == 80


def test_a_forked_process_speaks_on_a_connection_of_its_own(server: Server, topic: str) -> None:
    """As Celery's workers, which inherit what their parent has opened."""
    program = """
import os, sys
from tidings.publisher import Publisher
url, key, topic = sys.argv[1:]
with Publisher(url, key) as publisher:
    publisher.publish(topic, "UPDATED", entity_id="before")
    children = []
    for n in range(4):
        child = os.fork()
        if child == 0:
            for m in range(5):
                publisher.publish(topic, "UPDATED", entity_id=f"{n}-{m}")
            os._exit(0)
        children.append(child)
    for m in range(5):
        publisher.publish(topic, "UPDATED", entity_id=f"parent-{m}")
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    print(publisher.cursors(topic)[topic])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, server.url, server.api_key, topic],
        env=os.environ | {"PYTHONPATH": "src"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().partition("-")[2] == "26"


def test_pauses_grow_with_chance_and_have_an_end() -> None:
    assert [round(pause_seconds(n, 1.0), 3) for n in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert pause_seconds(3, 0.0) == 0.4
    assert pause_seconds(0, 1.0, 7.0) == 7.0
