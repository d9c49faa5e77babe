"""The Python client where something is wrong: the server dies, is not there, or refuses; nothing hangs, nothing is lost
in silence."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.python_rig import LIST, Reader, server, subscribed, token, until
from tidings.client import ConnectionEnded, TopicDenied, connect


async def test_a_server_that_is_killed_and_comes_back_is_found_again(
    serve: Callable[..., Any], command: Callable[..., Any]
) -> None:
    with serve() as first:
        live = connect(first.url, token=first.token())
        reader = Reader(live, LIST)
        await subscribed(live)
        await asyncio.to_thread(first.publish, LIST, 1)
        await reader.until(1)
        first.process.command.kill()
        await until(lambda: live.status.state == "reconnecting")
    port = first.url.split(":")[2].split("/")[0]
    with command("serve", "--port", port, "--secret", first.secret, "--api-key", first.api_key) as again:
        await asyncio.to_thread(again.wait_for, "Ready on")
        await subscribed(live)  # by itself: nobody calls reconnect()
        for number in (2, 3):
            await asyncio.to_thread(first.publish, LIST, number)
        assert await reader.until(3) == ["g-1", "g-2", "g-3"]
        assert [(gap.topic, gap.reason) for gap in reader.gaps] == [(LIST, "epoch_changed")]
        await live.close()
    await reader.task
    assert reader.ended is None


async def test_waiting_for_the_connection_makes_one() -> None:
    async with server() as (_, url, _), connect(url, token=token()) as live:
        assert live.status.state == "idle"
        async with asyncio.timeout(5):
            await live.wait_live()
        assert live.status.state == "live"


async def test_waiting_for_what_is_not_there_is_counted_and_paced() -> None:
    """Though nothing is subscribed: the machine by itself would let go, and be woken anew without end."""
    dials = 0

    def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dials
        dials += 1
        writer.close()

    listener = await asyncio.start_server(close, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener, connect(url, transports=["sse"], attempts_limit=2) as live:
        with pytest.raises(ConnectionEnded) as ended:
            async with asyncio.timeout(15):
                await live.wait_live()
        assert (ended.value.reason, dials) == ("lost", 3)
        assert ended.value.cause == "the server closed the connection without an answer"


async def test_the_end_does_not_wait_for_credentials() -> None:
    asked = asyncio.Event()

    async def auth(force: bool) -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("never")

    async with asyncio.timeout(5):
        async with connect("http://127.0.0.1:1", auth=auth) as live:
            reader = Reader(live, LIST)
            await asked.wait()
        await reader.task


@pytest.mark.parametrize("path", ["/nowhere", "/realtime"])
async def test_why_it_ended_is_said(path: str) -> None:
    async with server() as (_, url, _), connect(url + path, token="rubbish", attempts_limit=0) as live:
        with pytest.raises(ConnectionEnded) as ended:
            await live.wait_live()
        assert ended.value.cause is not None
        assert ended.value.cause in str(ended.value)
        assert ("HTTP" in ended.value.cause) is (path == "/nowhere"), "else in the server's own words"


async def test_a_name_that_is_none_is_a_failure_like_others() -> None:
    """Python raises UnicodeError for it, which is no OSError."""
    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    async with connect("http://a..b", attempts_limit=0) as live:
        with pytest.raises(ConnectionEnded) as ended:
            async with asyncio.timeout(5):
                await live.wait_live()
        assert ended.value.cause
    gc.collect()
    await asyncio.sleep(0)
    assert unheard == []


@pytest.mark.parametrize("topic", ["no-colon", "gift-list:" + "x" * 200_000])
async def test_a_topic_that_is_none_never_leaves(topic: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token()) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        with pytest.raises(TopicDenied) as denied:
            await anext(live.subscribe(topic))
        assert denied.value.code == "bad_topic"
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]
        assert live.status.attempt == 0
