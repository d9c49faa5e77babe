"""The fault proxy does to open connections what its words say: each fault is seen from both ends."""

from __future__ import annotations

import asyncio
import random
import time

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from tests.faults.behind import SECONDS_MAX, SHORT_SECONDS, SOCKET, echoed, proxied, soon


async def nothing_from(socket: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), SHORT_SECONDS)


async def test_without_faults_it_is_not_noticed() -> None:
    async with proxied() as (behind, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        assert (await http.get("/big")).text == "x" * 200_000
        for text in ("one", "y" * 300_000):
            assert (await http.post("/said", content=text)).text == "heard"
        assert behind.said == ["one", "y" * 300_000]
        assert proxy.accepted == 1  # kept alive, and each request seen
        assert proxy.requests == {"/big": 1, "/said": 2}
        async with connect(proxy.websocket) as socket:
            assert await echoed(socket, "z" * 300_000) < SECONDS_MAX
        await proxy.until(lambda: behind.left == ["websocket"])
    assert proxy.links() == []


async def test_latency_delays_each_way_and_keeps_the_order() -> None:
    async with proxied() as (_, proxy), connect(proxy.websocket) as socket:
        proxy.set(latency_seconds=0.1)
        for text in "abc":
            await socket.send(text)
        begin = time.monotonic()
        assert [await soon(socket.recv()) for _ in "abc"] == list("abc")
        assert 0.15 < time.monotonic() - begin < 1
        proxy.heal()
        assert await echoed(socket, "d") < 0.1


@pytest.mark.parametrize(("direction", "arrives"), [("up", False), ("both", False), ("down", True)])
async def test_a_stall_keeps_everything_until_it_is_lifted(direction: str, arrives: bool) -> None:
    async with proxied() as (behind, proxy), connect(proxy.websocket) as socket:
        await echoed(socket, "before")
        proxy.set(SOCKET, stall=direction)
        await socket.send("meanwhile")
        await nothing_from(socket)
        assert ("meanwhile" in behind.said) is arrives
        proxy.heal()
        assert await soon(socket.recv()) == "meanwhile"


async def test_a_stall_on_a_path_holds_requests_that_come_during_it() -> None:
    async with proxied() as (behind, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set("/said", stall="both")
        asked = asyncio.create_task(http.post("/said", content="late"))
        assert (await http.get("/big")).status_code == 200
        await proxy.until(lambda: proxy.requests["/said"])
        assert behind.said == [] and not asked.done()
        proxy.heal("/said")
        assert (await soon(asked)).text == "heard"


async def test_a_stalled_reader_backs_up_to_the_sender() -> None:
    async with proxied() as (_, proxy), connect(proxy.websocket, max_size=None) as socket:
        await echoed(socket, "before")
        proxy.set(stall="up")
        sent = asyncio.create_task(socket.send("x" * 50_000_000))
        done, _ = await asyncio.wait([sent], timeout=1)
        assert not done
        assert proxy.links()[0].up.waiting_bytes < 1_000_000
        proxy.cut(how="rst")
        with pytest.raises(ConnectionClosed):
            await soon(sent)


async def test_half_open_loses_bytes_and_ends_and_is_not_mended() -> None:
    async with proxied() as (behind, proxy):
        async with connect(proxy.websocket, close_timeout=0.1) as socket:
            await echoed(socket, "before")
            proxy.set(drop="both")
            await socket.send("lost")
            await proxy.until(lambda: proxy.links()[0].up.dead)
            proxy.heal()
            await socket.send("still lost")
            await nothing_from(socket)
        assert behind.said == ["before"] and behind.left == []
        async with connect(proxy.websocket) as socket:
            await echoed(socket, "a new one is fine")


async def test_one_direction_alone_may_be_lost() -> None:
    async with proxied() as (behind, proxy), connect(proxy.websocket, close_timeout=0.1) as socket:
        proxy.set(drop="down")
        await socket.send("heard")
        await nothing_from(socket)
        assert behind.said == ["heard"]


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_cut_is_seen_at_both_ends(how: str) -> None:
    async with proxied() as (behind, proxy), connect(proxy.websocket) as socket:
        await echoed(socket, "before")
        assert proxy.cut("/elsewhere", how="rst") == 0
        assert proxy.cut(SOCKET, how="rst" if how == "rst" else "fin") == 1
        with pytest.raises(ConnectionClosedError) as closed:
            await soon(socket.recv())
        assert isinstance(closed.value.__cause__, ConnectionResetError) is (how == "rst")
        await proxy.until(lambda: behind.left == ["websocket"])


async def test_a_cut_without_a_word_is_seen_at_none() -> None:
    async with proxied() as (behind, proxy), connect(proxy.websocket, close_timeout=0.1) as socket:
        proxy.cut(how="silent")
        await socket.send("lost")
        await nothing_from(socket)
        assert behind.said == [] and behind.left == []


async def test_a_share_of_the_connections_is_cut() -> None:
    async with proxied() as (_, proxy):
        sockets = [await connect(proxy.websocket) for _ in range(20)]
        cut = proxy.cut(share=0.5, chance=random.Random(1))
        assert 0 < cut < 20
        await proxy.until(lambda: len(proxy.links()) == 20 - cut)
        for socket in sockets:
            await socket.close()


async def test_a_cut_in_the_midst_of_a_frame() -> None:
    async with proxied() as (_, proxy), connect(proxy.websocket) as socket:
        await echoed(socket, "before")
        proxy.set(cut_after_bytes=10)
        await socket.send("x" * 100)
        with pytest.raises(ConnectionClosedError) as closed:
            await soon(socket.recv())
        assert "incomplete" in repr(closed.value.__cause__) or isinstance(closed.value.__cause__, EOFError)


async def test_a_slow_network() -> None:
    async with proxied() as (_, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set(bytes_per_second=1_000_000)
        begin = time.monotonic()
        assert len((await http.get("/big")).text) == 200_000
        assert 0.15 < time.monotonic() - begin < 2


async def test_an_idle_connection_is_forgotten() -> None:
    async with proxied() as (behind, proxy), connect(proxy.websocket, close_timeout=0.1) as socket:
        proxy.set(idle_seconds=0.3)
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:  # busy, it lives on
            await echoed(socket, "busy")
            await asyncio.sleep(0.05)
        await proxy.until(lambda: all(link.up.dead for link in proxy.links()))
        count = len(behind.said)
        await socket.send("lost")
        await nothing_from(socket)
        assert len(behind.said) == count


async def test_a_lifetime_ends_a_busy_connection() -> None:
    async with proxied() as (_, proxy):
        proxy.set(lifetime_seconds=0.3)
        async with connect(proxy.websocket) as socket:
            begin = time.monotonic()
            with pytest.raises(ConnectionClosed):
                while time.monotonic() - begin < SECONDS_MAX:
                    await echoed(socket, "busy")
            assert 0.2 < time.monotonic() - begin < 2
