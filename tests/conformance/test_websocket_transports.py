"""What both WebSocket transports promise, on both event loops; and that the fast one leaves all others alone."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import connect

from tests.raw_websocket import Peer, text
from tests.servers import Address, serving
from tests.subscribers import read, subscribed, welcomed
from tidings import Identity, Limits, Settings, Tidings
from tidings.transports.websocket_fast_link import FastLink

pytestmark = pytest.mark.usefixtures("way")

LIST = "gift-list:1"


def made(limits: Limits | None = None) -> Tidings:
    return Tidings(
        authenticate=lambda who: Identity(user=who.token),
        authorize={"gift-list:{list_id}": True},
        settings=Settings(limits=limits or Limits()),
    )


@asynccontextmanager
async def server(limits: Limits | None = None, **options: object) -> AsyncIterator[tuple[Tidings, Address]]:
    live, app = made(limits), Starlette()
    live.mount(app)
    async with serving(app, **options) as address:
        yield live, address


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_tests_run_against_the_transport_that_they_mean(way: str) -> None:
    async with server() as (live, address), welcomed(address, "ana") as (_, session):
        connection: Any = live.node._registry.of_session(session)
        assert isinstance(connection._sink, FastLink) == (way == "fast")


async def test_a_websocket_of_the_application_beside() -> None:
    live, app = made(), FastAPI()

    @app.websocket("/rooms/{room}")
    async def room(socket: WebSocket, room: str, name: str = "") -> None:
        await socket.accept("chat", headers=[(b"x-room", room.encode())])
        await socket.send_json({"room": room, "name": name, "host": socket.headers["host"], "from": socket.client})
        try:
            while True:
                message = await socket.receive()
                if message.get("bytes") is not None:
                    await socket.send_bytes(message["bytes"][::-1])
                elif message.get("text") is not None:
                    await live.publish(LIST, "SAID", entity_id=message["text"])
                    await socket.send_text(message["text"].upper())
                else:
                    raise WebSocketDisconnect(message["code"])
        except WebSocketDisconnect:
            await live.publish(LIST, "LEFT", entity_id=room)

    @app.websocket("/closing")
    async def closing(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4001, "enough")

    live.mount(app)
    async with serving(app) as address, subscribed(address, "ana", LIST) as ana:
        base = f"ws://127.0.0.1:{address.port}"
        async with connect(f"{base}/rooms/7?name=ben", subprotocols=[websockets.Subprotocol("chat")]) as own:
            assert own.subprotocol == "chat" and own.response is not None and own.response.headers["x-room"] == "7"
            hello = json.loads(await own.recv())
            assert (hello["room"], hello["name"], hello["from"][0]) == ("7", "ben", "127.0.0.1")
            await own.send(b"abc" * 50_000)
            assert await own.recv() == b"cba" * 50_000
            await own.send("hello")
            assert await own.recv() == "HELLO"
            await (await own.ping())
        assert [(await read(ana))["event"] for _ in range(2)] == ["SAID", "LEFT"]
        async with connect(f"{base}/closing") as own:
            await own.wait_closed()
            assert (own.close_code, own.close_reason) == (4001, "enough")
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(f"{base}/nowhere")
        assert refused.value.response.status_code == 403
        assert ana.state is websockets.State.OPEN


async def test_two_in_one_application() -> None:
    app, lives = Starlette(), []
    for prefix in ("/one", "/two"):
        live = Tidings(authenticate=lambda who: Identity(user=who.token), settings=Settings(prefix=prefix))
        live.mount(app)
        lives.append(live)
    async with serving(app) as address:
        for live, prefix in zip(lives, ("/one", "/two"), strict=True):
            path = address.websocket.replace("/realtime", prefix)
            async with welcomed(address, "ana", path=path) as (_, session):
                assert [other.node._registry.of_session(session) is not None for other in lives] == [
                    other is live for other in lives
                ]


async def test_events_come_in_order_whatever_their_size(way: str) -> None:
    async with (
        server() as (live, address),
        subscribed(address, "ana", LIST) as ana,
        subscribed(address, "ben", LIST) as ben,
    ):
        sizes = [0, 10, 70_000, 100, 100_000, 1, 65_536, 200] * 3

        async def publish() -> None:
            for number, size in enumerate(sizes):
                await live.publish(LIST, "ADDED", entity_id=number, payload="x" * size)

        publishing = asyncio.ensure_future(publish())
        for number, size in enumerate(sizes):
            for client in (ana, ben):
                event = await read(client)
                assert (event["data"]["entity_id"], len(event["data"]["payload"])) == (str(number), size)
        await publishing


async def test_a_client_that_sends_faster_than_it_is_answered() -> None:
    """It is read no faster than it is answered, and in the end everything is answered."""
    limits = Limits(frames_per_second=0, publishes_per_second=0, topics_per_connection=0, waiting_frames=4)
    async with server(limits) as (_, address), await Peer.dial(address.port) as peer:
        await peer.opened()
        assert (await answers(peer, 1))[0][0] == "welcome"
        frames = [{"type": "subscribe", "topics": [f"gift-list:{number}"], "id": number} for number in range(500)]
        await peer.send(b"".join(map(text, frames)))
        assert sorted(await answers(peer, 500)) == [("subscribed", number) for number in range(500)]


async def answers(peer: Peer, count: int) -> list[tuple[str, Any]]:
    found = []
    for _ in range(count):
        received = await peer.frame()
        assert received is not None
        found.append((received.json["type"], received.json.get("id")))
    return found


async def test_a_client_that_leaves_while_it_is_behind() -> None:
    limits = Limits(frames_per_second=0, topics_per_connection=0, waiting_frames=4)
    async with server(limits) as (live, address):
        async with await Peer.dial(address.port) as peer:
            await peer.opened()
            await answers(peer, 1)
            frames = [{"type": "subscribe", "topics": [f"gift-list:{number}"]} for number in range(2_000)]
            await peer.send(b"".join(map(text, frames)))
            await answers(peer, 20)
        await until(lambda: live.node.statistics()["sockets"] == 0)
        await until(lambda: len(asyncio.all_tasks()) < 20)


async def test_what_is_left_when_a_client_goes_without_a_word() -> None:
    async with server() as (live, address):
        async with subscribed(address, "ana", LIST) as client:
            assert live.node.statistics()["subscriptions_live"] == 1
            client.transport.abort()
            await until(lambda: live.node.statistics()["sockets"] == 0)
        assert live.node.statistics()["subscriptions_live"] == 0


async def test_the_server_ends_a_session() -> None:
    async with server() as (live, address), welcomed(address, "ana") as (ana, _):
        assert await live.disconnect(user="ana") == 1
        with pytest.raises(websockets.ConnectionClosed):
            await read(ana)
        assert ana.close_code == 4401


async def test_a_server_that_stops() -> None:
    stop = asyncio.Event()
    ready: asyncio.Future[Address] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with server() as (_, address):
            ready.set_result(address)
            await stop.wait()

    serving_on = asyncio.ensure_future(serve())
    async with subscribed(await ready, "ana", LIST) as ana:
        stop.set()
        frames = []
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                frames.append((await read(ana))["type"])
        assert ana.close_code == 1012
        assert frames in (["reconnect"], []), "uvicorn closes the plain one before it lets the application know"
    await asyncio.wait_for(serving_on, 5)


# Middleware of the application.


class Noted:
    """Counts the WebSockets that pass it."""

    seen = 0

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            Noted.seen += 1
        await self._app(scope, receive, send)


class OnHttp(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        return await call_next(request)


async def test_middleware_that_does_not_run_is_named_once(way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "tidings")
    live, app = made(), Starlette()
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["*"])
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.add_middleware(OnHttp)
    live.mount(app)
    app.add_middleware(Noted)
    Noted.seen = 0
    async with serving(app) as address:
        for _ in range(2):
            async with welcomed(address, "ana"):
                pass
    warned = [record.getMessage() for record in caplog.records if "middleware" in record.getMessage()]
    if way == "fast":
        assert len(warned) == 1 and "Noted, TrustedHostMiddleware does not run" in warned[0]
        assert Noted.seen == 0
    else:
        assert warned == [] and Noted.seen == 2


async def test_a_sub_application_is_served_by_its_route() -> None:
    """Its lifespan does not run, so nothing says where it stands: its path has another prefix."""
    live, inner, outer = made(), FastAPI(), Starlette()
    live.mount(inner)
    outer.mount("/api", inner)
    async with serving(outer) as address:
        path = address.websocket.replace("/realtime", "/api/realtime")
        async with welcomed(address, "ana", path=path):
            pass
        with pytest.raises(websockets.InvalidStatus):
            await connect(f"{address.websocket}?token=ana")
    await live.close()


async def test_without_a_lifespan_the_route_serves() -> None:
    live, app = made(), Starlette()
    live.mount(app)
    async with serving(app, lifespan="off") as address, welcomed(address, "ana") as (_, session):
        connection: Any = live.node._registry.of_session(session)
        assert not isinstance(connection._sink, FastLink)
    await live.close()


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_behind_either_http_parser(http: str) -> None:
    async with server(http=http) as (live, address), subscribed(address, "ana", LIST) as ana:
        cursor = await live.publish(LIST, "ADDED", entity_id="g")
        assert (await read(ana))["cursor"] == cursor
