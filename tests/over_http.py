"""A server and a client of it over plain HTTP, for the tests of streams and polls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from tests.servers import serving
from tidings import Limits, Settings
from tidings.server import Tidings

SECRET = "a secret of more than forty-eight bytes, enough for HS384"
LIST = "gift-list:1"
ALLOWED_ORIGIN = "https://app.example.com"
ANSWER_SECONDS_MAX = 5


def token(**claims: Any) -> str:
    base = {"sub": "ana", "tenant": "t-1", "exp": time.time() + 600, "subscribe": ["gift-list:*"]}
    return jwt.encode({**base, **claims}, SECRET)


def bearer(**claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(**claims)}"}


@asynccontextmanager
async def server(
    limits: Limits | None = None, *middleware: Any, **options: Any
) -> AsyncIterator[tuple[Tidings, httpx.AsyncClient]]:
    """A server, and a client of it that Ana uses.

    :param middleware: classes, the innermost first.
    :param options: of Tidings.
    """
    settings = Settings(
        secret=SECRET, cookie="session", allowed_origins=[ALLOWED_ORIGIN], limits=limits or Limits(), topics=None
    )
    live, app = Tidings(settings=settings, **options), Starlette()
    app.add_route("/plain", lambda _request: PlainTextResponse("x" * 10_000))
    live.mount(app)
    for one in middleware:
        app.add_middleware(one)
    async with serving(app) as address:
        await live.publish("gift-list:0", "ADDED", entity_id="0")  # else answers warn that nothing ever was
        async with httpx.AsyncClient(
            base_url=f"{address.http}/realtime", headers=bearer(), timeout=ANSWER_SECONDS_MAX
        ) as http:
            yield live, http


async def publish(live: Tidings, *entity_ids: str, topic: str = LIST, **options: Any) -> list[str]:
    return [
        await live.publish(topic, "UPDATED", entity_id=entity_id, tenant="t-1", **options) for entity_id in entity_ids
    ]


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true. Raises TimeoutError."""
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.01)
