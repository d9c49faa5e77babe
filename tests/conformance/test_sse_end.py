"""Event streams among middlewares, and how they end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

from tests.over_http import LIST, bearer, publish, server, token, until
from tests.schemas import schema
from tests.streams import streaming
from tidings import Limits
from tidings.transports import sse

# Middlewares.


async def test_gzip_neither_compresses_nor_holds_back() -> None:
    async with server(None, GZipMiddleware) as (live, http):
        http.headers["Accept-Encoding"] = "gzip"
        plain = await http.get(str(http.base_url).replace("/realtime/", "/plain"))
        assert plain.headers["content-encoding"] == "gzip", "it is there, and works"
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            assert "content-encoding" not in stream.response.headers
            await stream.frame()
            await publish(live, "a")
            await stream.events(1)


async def test_a_middleware_that_wraps_the_body_and_a_client_that_goes_away_within_it() -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            answer: Response = await call_next(request)
            return answer

    async with server(None, Passing) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            await stream.frame()
            await publish(live, "a")
            await stream.events(1)
            assert live.node.statistics()["connections"] == 1
        await until(lambda: live.node.statistics()["connections"] == 0)


# The end.


async def test_a_reader_that_stops_reading_is_cut_off_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.2)
    async with server(Limits(backlog_bytes=50_000)) as (live, http):
        async with streaming(http, f"/sse?topics={LIST}", headers=bearer(sub="witness")) as witness:
            await witness.frame()
            reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
            try:
                writer.write(f"GET /realtime/sse?topics={LIST}&token={token()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await reader.readuntil(b'"subscribed"')
                # From here on nobody reads: what comes fills the buffers of both sides.
                assert live.node.statistics()["subscriptions_live"] == 2
                async with asyncio.timeout(30):
                    while live.node.statistics()["subscriptions_live"] == 2:
                        await publish(live, "large", payload="x" * 100_000)
                        await witness.events(1)
                await publish(live, "after")
                assert (await witness.events(1))[0]["data"]["entity_id"] == "after", "nobody else is harmed"
                await until(lambda: live.node.statistics()["connections"] == 1)
            finally:
                writer.transport.abort()


async def test_disconnect_ends_the_stream_and_says_how() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        assert await live.disconnect("ana", tenant="t-1") == 1
        [last] = await stream.end()
        assert (last.event, json.loads(last.data)) == ("close", {"code": 4401, "reason": "disconnected"})
        schema("frames", "streamClose").validate(last.frame)


async def test_a_token_that_expires() -> None:
    async with server(Limits(expiry_grace_seconds=1)) as (_, http):
        async with streaming(http, f"/sse?topics={LIST}&token={token(exp=time.time() + 1)}") as stream:
            await stream.frame()
            expiring, refused, last = await stream.end()
            assert [one.frame.get("code") for one in (expiring, refused)] == ["token_expired", "unauthorized"]
            assert (last.event, last.frame["code"]) == ("close", 4401)


async def test_the_close_of_the_application_ends_streams_and_says_when_to_come_back() -> None:
    async with server() as (live, http), streaming(http, f"/sse?topics={LIST}") as stream:
        await stream.frame()
        await live.close()
        reconnect, last = await stream.end()
        assert reconnect.frame == {"type": "reconnect", "topic": "system", "delay_ms": 2_000}
        assert (last.event, last.frame["code"]) == ("close", 1012)
        assert stream.parser.retry_ms[-1] <= 2_000
