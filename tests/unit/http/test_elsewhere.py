"""A wrong method and a wrong address are answered as every other fault is, and hide nothing of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tidings import Settings, Tidings
from tidings.http import any_other_address

SECRET = "0123456789abcdef0123456789abcdef"


async def own(request: Request) -> Response:
    return PlainTextResponse("the application's own")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """An application with a route of its own under the prefix, and one for all else."""
    app = Starlette()
    live = Tidings(settings=Settings(secret=SECRET, api_keys=["K"]))
    live.mount(app)
    app.add_route("/realtime/dashboard", own)
    app.router.routes.append(any_other_address("/realtime"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
    await live.close()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/realtime/publish", {"POST"}),
        ("DELETE", "/realtime/cursor", {"GET", "HEAD"}),
        ("PUT", "/realtime/poll", {"GET", "POST", "OPTIONS"}),
        ("PUT", "/realtime/sse", {"GET", "POST", "OPTIONS"}),
        ("GET", "/realtime/session/abc", {"POST", "OPTIONS"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ],
)
async def test_another_method(http: httpx.AsyncClient, method: str, path: str, allowed: set[str]) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.headers["allow"].split(", ")) == allowed
    usable = " or ".join(sorted(allowed - {"HEAD", "OPTIONS"}))
    assert answer.json() == {"error": {"code": "bad_frame", "message": f"{path} does not take {method}; use {usable}."}}


async def test_head_of_a_stream_has_no_body_that_never_ends(http: httpx.AsyncClient) -> None:
    assert (await http.head("/realtime/sse")).status_code == 405


@pytest.mark.parametrize("path", ["/realtime/nowhere", "/realtime/", "/realtime/session/a/b", "/elsewhere", "/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_address(http: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 404
    message = f"There is nothing at {path}; what there is stands under /realtime."
    assert answer.json() == {"error": {"code": "bad_frame", "message": message}}


async def test_the_applications_own_routes_stay(http: httpx.AsyncClient) -> None:
    assert (await http.get("/realtime/dashboard")).text == "the application's own"
    assert (await http.get("/healthz")).status_code == 200
