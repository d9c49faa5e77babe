"""The fault proxy does what its words say: each fault is seen from both ends."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from tests.faults.proxy import FaultProxy, fault_proxy
from tests.servers import serving

SECONDS_MAX = 5
SHORT_SECONDS = 0.15  # long enough to see that nothing comes
SOCKET = "/realtime/ws"
T = TypeVar("T")


class Behind:
    """The server behind the proxy, and what it has seen."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.left: list[str] = []
        self.stream_goes_on = asyncio.Event()
        self.app = Starlette(
            routes=[
                WebSocketRoute(SOCKET, self._echo),
                Route("/big", lambda _: PlainTextResponse("x" * 200_000)),
                Route("/said", self._hear, methods=["POST", "GET"]),
                Route("/stream", self._stream),
                Route(SOCKET, lambda _: Response("no upgrade", status_code=426)),
            ]
        )

    async def _echo(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                text = await socket.receive_text()
                self.said.append(text)
                await socket.send_text(text)
        except WebSocketDisconnect:
            self.left.append("websocket")

    async def _hear(self, request: Request) -> PlainTextResponse:
        self.said.append((await request.body()).decode())
        return PlainTextResponse("heard")

    async def _stream(self, _: Request) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a" * 10
            await self.stream_goes_on.wait()
            yield b"b" * 10

        return StreamingResponse(chunks())


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Behind, FaultProxy]]:
    behind = Behind()
    async with serving(behind.app) as address, fault_proxy(address.port) as proxy:
        yield behind, proxy


async def soon(awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, SECONDS_MAX)


async def nothing_from(socket: ClientConnection) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), SHORT_SECONDS)


async def echoed(socket: ClientConnection, text: str) -> float:
    """How many seconds the echo took."""
    begin = time.monotonic()
    await socket.send(text)
    assert await soon(socket.recv()) == text
    return time.monotonic() - begin


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


async def test_a_reply_is_eaten_after_the_request_was_heard() -> None:
    async with proxied() as (behind, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set("/said", eat_replies=True)
        with pytest.raises(httpx.NetworkError):
            await http.post("/said", content="heard")
        assert behind.said == ["heard"] and proxy.eaten == {"/said": 1}
        proxy.heal()
        assert (await http.post("/said", content="again")).text == "heard"


@pytest.mark.parametrize("status", [200, 400, 403, 426])
async def test_an_upgrade_is_refused(status: int) -> None:
    async with proxied() as (behind, proxy):
        proxy.set(refuse_upgrade=status)
        with pytest.raises(InvalidStatus) as refused:
            await connect(proxy.websocket)
        assert refused.value.response.status_code == status
        async with httpx.AsyncClient(base_url=proxy.http) as http:
            assert (await http.post("/said", content="plain")).text == "heard"
        assert behind.said == ["plain"]


async def test_the_headers_of_an_upgrade_are_removed() -> None:
    async with proxied() as (_, proxy):
        proxy.set(strip_upgrade=True)
        with pytest.raises(InvalidStatus) as refused:
            await connect(proxy.websocket)
        assert (refused.value.response.status_code, refused.value.response.body) == (426, b"no upgrade")


async def test_a_captive_portal_answers_everything_with_a_page() -> None:
    async with proxied() as (behind, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set(answer=200)
        for path in ("/said", "/big"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
            assert "Sign in" in answer.text
        assert behind.said == []


async def test_a_blocked_path_is_cut_and_refused_and_others_are_not() -> None:
    async with proxied() as (_, proxy), connect(proxy.websocket) as socket:
        await echoed(socket, "before")
        proxy.block(SOCKET)
        with pytest.raises(ConnectionClosed):
            await soon(socket.recv())
        with pytest.raises(InvalidStatus):
            await connect(proxy.websocket)
        async with httpx.AsyncClient(base_url=proxy.http) as http:
            assert (await http.get("/big")).status_code == 200
        proxy.heal(SOCKET)
        async with connect(proxy.websocket) as again:
            await echoed(again, "after")


@pytest.mark.parametrize("hold_bytes", [math.inf, 1_000.0])
async def test_a_stream_is_kept_back(hold_bytes: float) -> None:
    async with proxied() as (behind, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set("/stream", hold_bytes=hold_bytes)
        asked = asyncio.create_task(http.get("/stream"))
        done, _ = await asyncio.wait([asked], timeout=SHORT_SECONDS)
        assert not done and proxy.links("/stream")[0].down_bytes == 0
        behind.stream_goes_on.set()
        assert (await soon(asked)).text == "a" * 10 + "b" * 10


async def test_a_stream_that_is_kept_back_comes_in_blocks() -> None:
    async with proxied() as (_, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set("/stream", hold_bytes=50)
        async with http.stream("GET", "/stream") as response:
            assert await soon(anext(response.aiter_raw())) == b"a" * 10


async def test_a_server_that_is_down_and_another_one() -> None:
    async with proxied() as (_, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        port, proxy.upstream_port = proxy.upstream_port, 1
        with pytest.raises(httpx.NetworkError):
            await http.get("/big")
        proxy.set(answer_when_down=502)
        assert (await http.get("/big")).status_code == 502
        proxy.upstream_port = port
        assert (await http.get("/big")).status_code == 200
        proxy.accepting = False
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            await http.get("/big")
        proxy.heal()
        assert (await http.get("/big")).status_code == 200


async def test_the_reset_of_a_request() -> None:
    async with proxied() as (_, proxy), httpx.AsyncClient(base_url=proxy.http) as http:
        proxy.set("/big", reset=True)
        with pytest.raises(httpx.ReadError):
            await http.get("/big")
        assert proxy.requests == {"/big": 1}


async def test_other_protocols_pass_unseen() -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.write(b"bye")
        writer.close()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    async with server, fault_proxy(server.sockets[0].getsockname()[1], http=False) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"not http\r\n\r\n")
        assert await soon(reader.readexactly(12)) == b"NOT HTTP\r\n\r\n"
        writer.write_eof()
        assert await soon(reader.read()) == b"bye"
        writer.close()
