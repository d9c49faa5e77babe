"""The fault proxy does to requests and replies what its words say."""

from __future__ import annotations

import asyncio
import math

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.faults.behind import SHORT_SECONDS, SOCKET, echoed, proxied, soon
from tests.faults.proxy import fault_proxy


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
