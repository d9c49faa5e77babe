"""What the application does with a Python client beside reading: watch it, hold it, renew it, leave it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from tests.clients.python_rig import LIST, Reader, server, subscribed, token, until
from tidings.client import Live, Status, connect, driver
from tidings.client.addresses import parse_address
from tidings.client.machine import Options
from tidings.core.errors import UsageError

every_transport = pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])


async def test_the_status_is_told_to_who_listens(caplog: pytest.LogCaptureFixture) -> None:
    async with server() as (_, url, _):
        live = connect(url, token=token())
        seen: list[Status] = []

        def complain(_: Status) -> None:
            raise ValueError("the application's own fault")

        off_twice = [live.on_status(seen.append), live.on_status(seen.append)]
        live.on_status(complain)
        await live.wait_live()
        assert [status.state for status in seen] == ["connecting", "connecting", "live", "live"]
        assert (seen[-1].transport, seen[-1].refetching, seen[-1].next_try_at) == ("websocket", False, None)
        off_twice[0]()
        off_twice[0]()
        count = len(seen)
    await until(lambda: live.status.state == "reconnecting")
    assert len(seen) == count + 1
    assert seen[-1] == live.status
    assert seen[-1].next_try_at is not None and seen[-1].transport is None
    assert seen[-1].attempt == 1
    await live.close()
    assert seen[-1].state == "closed"
    assert "a listener of the status raised" in caplog.text


@every_transport
async def test_a_pause_keeps_the_positions(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        await tidings.publish(LIST, "ADDED", entity_id="a")
        await reader.until(1)
        live.pause()
        assert live.status.state == "paused"
        await until(lambda: not tidings.node.statistics()["sockets"])
        await tidings.publish(LIST, "ADDED", entity_id="b")
        live.resume()
        assert await reader.until(2) == ["a", "b"]
        assert reader.gaps == []


@pytest.mark.parametrize("transport", ["websocket", "sse"])
async def test_credentials_are_renewed_while_the_connection_stays(transport: str) -> None:
    asked: list[bool] = []

    async def auth(force: bool) -> str:
        asked.append(force)
        await asyncio.sleep(0)
        return token(seconds=600 if force else 5)

    async with server() as (tidings, url, _), connect(url, auth=auth, transports=[transport]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        seen: list[Status] = []
        live.on_status(seen.append)
        await until(lambda: asked == [False, True])
        context = live._machine._context
        await until(lambda: not context.authorizing and context.auth_request is None)
        live.reauth()  # asked for by hand it is the same
        await until(lambda: asked == [False, True, True])
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await reader.until(1) == ["a"]
        assert seen == [], "nobody noticed"


async def test_polls_find_out_that_credentials_have_expired() -> None:
    """A poll is never told when they will; the next one is refused, and asked anew with better ones."""
    asked: list[bool] = []

    def auth(force: bool) -> str:
        asked.append(force)
        return token(seconds=600 if force else -28)  # the server allows for 30 s

    async with server() as (tidings, url, _), connect(url, auth=auth, transports=["poll"]) as live:
        reader = Reader(live, LIST)
        await subscribed(live)
        number = 0
        while asked == [False]:
            await tidings.publish(LIST, "ADDED", entity_id=number)
            number += 1
            await reader.until(number)
        await tidings.publish(LIST, "ADDED", entity_id=number)
        assert await reader.until(number + 1) == [str(one) for one in range(number + 1)]
        assert (asked, reader.gaps) == ([False, True], [])


async def test_an_auth_that_raises_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[bool] = []

    def auth(force: bool) -> str:
        asked.append(force)
        if len(asked) == 1:
            raise ValueError("the application's own fault")
        return token()

    async with server() as (_, url, _), connect(url, auth=auth) as live:
        await live.wait_live()
        assert asked == [False, False]
    assert "auth raised" in caplog.text


async def test_a_close_from_within_auth_is_no_deadlock() -> None:
    async def auth(_: bool) -> str:
        await live.close()
        return token()

    live = connect("http://127.0.0.1:1", auth=auth)
    reader = Reader(live, LIST)
    async with asyncio.timeout(5):
        await reader.task
    assert live.status.state == "closed"


@every_transport
async def test_a_cancelled_loop_leaves_the_others(transport: str) -> None:
    async with server() as (tidings, url, _), connect(url, token=token(), transports=[transport]) as live:
        staying, leaving = Reader(live, LIST), Reader(live, LIST, "gift-list:2")
        await subscribed(live, "gift-list:2")
        leaving.task.cancel()
        await asyncio.wait([leaving.task])
        await tidings.publish(LIST, "ADDED", entity_id="a")
        assert await staying.until(1) == ["a"]
        assert len(live._subscriptions) == 1


async def test_a_machine_that_slept_doubts_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's clock stands still in sleep, the wall's does not."""
    monkeypatch.setattr(driver, "TICK_SECONDS", 0.05)
    now = 0.0
    monkeypatch.setattr(driver, "time", SimpleNamespace(time=lambda: now))
    async with server() as (_, url, _), connect(url, token=token()) as live:
        await live.wait_live()
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.3
        while loop.time() < end:
            await asyncio.sleep(0.01)
            assert not live._machine._context.timers.keys() & {"wake", "probe"}
        now += 3_600
        await until(lambda: "wake" in live._machine._context.timers)
        await until(lambda: not live._machine._context.timers.keys() & {"wake", "probe"})
        assert (live.status.state, live._machine.generation) == ("live", 1), "it was answered"


@pytest.mark.parametrize("transports", [[], ["carrier-pigeon"], ["sse", "sse"], ["websocket", "polling"]])
def test_what_is_no_transport(transports: list[str]) -> None:
    with pytest.raises(UsageError, match="transports must be some of websocket, sse, poll, each once"):
        connect("http://127.0.0.1:1", transports=transports)


async def test_dials_that_take_too_long_are_given_up() -> None:
    """A server that accepts and says nothing: on each transport, with nothing left behind."""
    silent: list[asyncio.StreamWriter] = []
    listener = await asyncio.start_server(lambda _, writer: silent.append(writer), "127.0.0.1", 0)
    before = asyncio.all_tasks()
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    options = Options(transports=("websocket", "sse", "poll"), first_ms=50, connect_ms=50)
    live = Live(parse_address(url), None, options)
    reader = Reader(live, LIST)
    await until(lambda: len(silent) >= 4)
    assert live.status.refetching
    await live.close()
    await reader.task
    assert asyncio.all_tasks() == before
    for writer in silent:
        writer.close()
    listener.close()
