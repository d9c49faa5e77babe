"""``mount``: Tidings within an application of one's own, beside its routes, WebSockets and lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from websockets.asyncio.client import connect

from tests.servers import serving
from tests.subscribers import read, subscribed, welcomed
from tidings import Identity, Settings, Tidings
from tidings.brokers.memory import MemoryBroker
from tidings.core.limits import Limits
from tidings.ports import Receiver
from tidings.testing import FakeClock

TOPIC = "user:ana"  # open to Ana by default


def made(broker: MemoryBroker | None = None) -> Tidings:
    return Tidings(authenticate=lambda who: Identity(user=who.token), broker=broker)


class CountedBroker(MemoryBroker):
    """A memory broker that notes when it was started and closed."""

    def __init__(self) -> None:
        super().__init__(Limits(), FakeClock())
        self.calls: list[str] = []

    async def start(self, receiver: Receiver) -> None:
        self.calls.append("start")
        await super().start(receiver)

    async def close(self) -> None:
        self.calls.append("close")
        await super().close()


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
async def test_the_routes_stand_in_front_of_a_catch_all(kind: type[Starlette], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("the page")
    live, app = made(), kind()
    app.mount("/", StaticFiles(directory=tmp_path, html=True))
    live.mount(app)
    async with serving(app) as address, httpx.AsyncClient(base_url=address.http) as http:
        assert (await http.get("/")).text == "the page"
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert (await http.post("/realtime/publish")).status_code == 401
        async with subscribed(address, "ana", TOPIC) as ana:
            cursor = await live.publish(TOPIC, "UPDATED", entity_id="g")
            assert (await read(ana))["cursor"] == cursor


async def test_another_prefix() -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token), settings=Settings(prefix="/api/live"))
    app = Starlette()
    live.mount(app)
    async with serving(app) as address, httpx.AsyncClient(base_url=address.http) as http:
        assert (await http.get("/realtime/cursor")).status_code == 404
        assert (await http.get("/api/live/cursor")).status_code == 401
        path = address.websocket.replace("/realtime/", "/api/live/")
        async with welcomed(address, "ana", path=path) as (_, session):
            assert session


async def test_a_websocket_of_the_application_still_works_beside() -> None:
    live, app = made(), FastAPI()

    @app.websocket("/echo/{name}")
    async def echo(socket: WebSocket, name: str) -> None:
        await socket.accept()
        await socket.send_text(f"{name}: {await socket.receive_text()}")
        await live.publish(TOPIC, "ECHOED", entity_id=name)
        await socket.close(4000)

    live.mount(app)
    async with serving(app) as address, subscribed(address, "ana", TOPIC) as ana:
        async with connect(f"ws://127.0.0.1:{address.port}/echo/ben") as own:
            await own.send("hello")
            assert await own.recv() == "ben: hello"
            await own.wait_closed()
            assert own.close_code == 4000
        assert (await read(ana))["event"] == "ECHOED"


async def test_it_starts_and_closes_once_with_the_application_around_the_lifespan_of_its_own() -> None:
    broker = CountedBroker()
    live = made(broker)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        broker.calls.append("application starts")
        await live.publish(TOPIC, "STARTED", entity_id="g")  # the broker is there already
        yield {"database": "open"}
        await live.publish(TOPIC, "STOPPED", entity_id="g")  # and it still is
        broker.calls.append("application stops")

    app = FastAPI(lifespan=lifespan)

    @app.get("/state")
    async def state(request: Request) -> str:
        await live.cursor(TOPIC)
        return str(request.state.database)

    live.mount(app)
    assert not live.ready()
    async with serving(app, lifespan="on") as address, httpx.AsyncClient(base_url=address.http) as http:
        assert live.ready()
        assert (await http.get("/state")).json() == "open", "the state of the application's lifespan is kept"
        async with welcomed(address, "ana"):
            pass
    assert broker.calls == ["start", "application starts", "application stops", "close"]
    assert not live.ready()


async def test_it_closes_also_where_the_application_fails_to_start() -> None:
    broker = CountedBroker()
    live, is_up = made(broker), False

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if not is_up:
            raise OSError("the database is away")
        yield

    app = Starlette(lifespan=lifespan)
    live.mount(app)
    with pytest.raises(OSError, match="the database is away"):
        async with app.router.lifespan_context(app):
            raise AssertionError("it must not start")
    assert broker.calls == ["start", "close"]


async def test_an_application_may_start_again_after_it_stopped() -> None:
    live, app = made(), Starlette()
    live.mount(app)
    for _ in range(2):
        async with serving(app, lifespan="on") as address, subscribed(address, "ana", TOPIC) as ana:
            cursor = await live.publish(TOPIC, "UPDATED", entity_id="g")
            assert (await read(ana))["cursor"] == cursor


async def test_in_a_sub_application_whose_lifespan_nobody_runs_it_starts_when_it_is_first_used() -> None:
    live, inner = made(), FastAPI()
    live.mount(inner)
    outer = Starlette(routes=[Mount("/api", inner)])
    async with serving(outer) as address:
        path = address.websocket.replace("/realtime/", "/api/realtime/")
        async with welcomed(address, "ana", path=path) as (_, session):
            assert session and live.ready()
    await live.close()


async def test_http_of_the_application_is_left_as_it_was() -> None:
    live, app = made(), Starlette()
    app.add_route("/plain", lambda _request: PlainTextResponse("plain", headers={"X-Own": "1"}))
    live.mount(app)
    async with serving(app) as address, httpx.AsyncClient(base_url=address.http) as http:
        answer = await http.get("/plain", headers={"traceparent": "rubbish"})
        assert (answer.text, answer.headers["x-own"]) == ("plain", "1")
        assert (await http.get("/realtime/nowhere")).status_code == 404
