"""Streams and polls behind a proxy that buffers and gives up on silence, as it comes from its package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from tests.nginx import behind_nginx
from tests.servers import serving
from tests.streams import streaming
from tidings import Identity, Limits, Settings
from tidings.server import Tidings

LIST = "gift-list:1"
SECONDS_MAX = 5
HEADERS = {"Authorization": "Bearer ana"}


@asynccontextmanager
async def proxied(
    folder: Path, options: str = "", limits: Limits | None = None
) -> AsyncIterator[tuple[Tidings, httpx.AsyncClient]]:
    live = Tidings(
        authenticate=lambda who: Identity(user=who.token),
        authorize={"gift-list:{list_id}": True},
        settings=Settings(limits=limits or Limits()),
    )
    app = Starlette()
    live.mount(app)
    async with serving(app) as address, behind_nginx(address.port, folder, options) as url:
        async with httpx.AsyncClient(base_url=f"{url}/realtime", headers=HEADERS, timeout=SECONDS_MAX) as http:
            yield live, http


async def until_nobody_is_there(live: Tidings) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while live.node.statistics()["connections"]:
            await asyncio.sleep(0.01)


async def test_each_event_comes_through_at_once(tmp_path: Path) -> None:
    """The next is published only when the one before it has come: what is held back is never seen."""
    async with proxied(tmp_path) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            assert stream.response.headers["server"].startswith("nginx")
            assert (await stream.frame())["type"] == "subscribed"
            for number in range(20):
                cursor = await live.publish(LIST, "UPDATED", entity_id=number)
                assert (await stream.events(1))[0]["cursor"] == cursor
            frame = {"type": "subscribe", "topics": ["gift-list:2"]}
            assert (await http.post(f"/session/{stream.session}", json=frame)).status_code == 202
            assert list((await stream.frame())["topics"]) == ["gift-list:2"]
        await until_nobody_is_there(live)


async def test_a_silent_stream_outlives_the_proxys_patience(tmp_path: Path) -> None:
    limits = Limits(heartbeat_seconds=1, silence_seconds=4)
    async with proxied(tmp_path, "proxy_read_timeout 3s;", limits) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            for _ in range(3):
                assert (await stream.frame())["type"] == "pong"
            cursor = await live.publish(LIST, "UPDATED", entity_id="a")
            assert (await stream.events(1))[0]["cursor"] == cursor


@pytest.mark.nightly
@pytest.mark.timeout(180)
async def test_a_silent_stream_outlives_the_default_of_60_seconds(tmp_path: Path) -> None:
    """With nothing set on either side; only the session's pong is seen, each 25 s and a look later."""
    async with proxied(tmp_path) as (live, http):
        async with http.stream("GET", f"/sse?topics={LIST}", timeout=60) as response:
            chunks = response.aiter_raw()
            body = b""
            async with asyncio.timeout(150):
                while body.count(b'"pong"') < 3:
                    body += await anext(chunks)
            assert body.count(b": still here") >= 3
            await live.publish(LIST, "UPDATED", entity_id="after")
            async with asyncio.timeout(SECONDS_MAX):
                while b'"after"' not in body:
                    body += await anext(chunks)


@pytest.mark.parametrize("options", ["", "proxy_ignore_headers X-Accel-Buffering;"])
async def test_a_held_poll_is_answered_through_it(tmp_path: Path, options: str) -> None:
    """Also where the proxy is told to hold event streams back: there a client has polls."""
    async with proxied(tmp_path, options) as (live, http):
        start = await live.cursor(LIST)
        asked = asyncio.create_task(http.post("/poll", json={"topics": [LIST], "since": {LIST: start}}))
        async with asyncio.timeout(SECONDS_MAX):
            while not live.node.statistics()["subscriptions_live"]:
                await asyncio.sleep(0.01)
        cursor = await live.publish(LIST, "UPDATED", entity_id="a")
        assert [frame.get("cursor") for frame in (await asked).json()["frames"]] == [None, cursor]


async def test_who_leaves_a_held_poll_leaves_nothing_behind_it(tmp_path: Path) -> None:
    async with proxied(tmp_path) as (live, http):
        start = await live.cursor(LIST)
        asked = asyncio.create_task(http.post("/poll", json={"topics": [LIST], "since": {LIST: start}}))
        async with asyncio.timeout(SECONDS_MAX):
            while not live.node.statistics()["subscriptions_live"]:
                await asyncio.sleep(0.01)
        asked.cancel()
        await until_nobody_is_there(live)


async def test_refusals_keep_their_status(tmp_path: Path) -> None:
    async with proxied(tmp_path, limits=Limits(connections_per_user=1)) as (_, http):
        async with streaming(http, f"/sse?topics={LIST}"):
            refused = await http.get(f"/sse?topics={LIST}")
            assert refused.status_code == 429 and refused.headers["retry-after"]
            assert refused.json()["error"]["code"] == "too_many_connections"
