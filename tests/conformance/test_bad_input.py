"""Bad input over real sockets: each gets its code, and no other connection notices.

Silence beyond the heartbeat stands in ``tests/unit/core/test_session.py``, where time is handed in.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
import websockets
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect

from tests.servers import Address, serving
from tidings import Limits, Settings
from tidings.server import Tidings

pytestmark = pytest.mark.usefixtures("way")

SECRET = "a secret of more than forty-eight bytes, enough for HS384"
LIST = "gift-list:1"


def token(claims: dict[str, Any] | None = None, *, key: str = SECRET, algorithm: str = "HS256") -> str:
    base = {"sub": "ana", "tenant": "t-1", "aud": "tidings", "exp": time.time() + 600, "subscribe": ["gift-list:*"]}
    return jwt.encode({**base, **(claims or {})}, key if algorithm != "none" else "", algorithm=algorithm)


@asynccontextmanager
async def server(limits: Limits | None = None) -> AsyncIterator[tuple[Tidings, Address]]:
    settings = Settings(secret=SECRET, audience="tidings", cookie="session", limits=limits or Limits())
    live = Tidings(settings=settings)
    app = Starlette()
    live.mount(app)
    async with serving(app, ws_max_size=settings.limits.frame_bytes) as address:
        yield live, address


async def read(connection: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(connection.recv(), 5))
    return frame


@asynccontextmanager
async def witness(live: Tidings, address: Address) -> AsyncIterator[None]:
    """A connection beside the bad one: it must get the event that is published afterwards, and nothing else."""
    async with connect(f"{address.websocket}?token={token({'sub': 'witness'})}") as other:
        assert (await read(other))["type"] == "welcome"
        await other.send(json.dumps({"type": "subscribe", "topics": [LIST]}))
        assert (await read(other))["type"] == "subscribed"
        yield
        cursor = await live.publish(LIST, "UPDATED", entity_id="g", tenant="t-1")
        assert (await read(other))["cursor"] == cursor


async def refusal(connection: ClientConnection) -> tuple[str, int]:
    """The error's code and the close code that follows it."""
    frame = await read(connection)
    assert frame["type"] == "error", frame
    assert frame["message"].endswith("."), "a sentence"
    with pytest.raises(websockets.ConnectionClosed):
        await asyncio.wait_for(connection.recv(), 5)
    assert connection.close_code is not None
    return frame["code"], connection.close_code


EXPIRED = {"exp": time.time() - 600}
BAD_CREDENTIALS = {
    "wrong": "rubbish",
    "empty": "..",
    "foreign key": token(key="another secret of more than thirty-two bytes"),
    "expired": token(EXPIRED),
    "wrong audience": token({"aud": "elsewhere"}),
    "no audience": token({"aud": []}),
    "wrong algorithm": token(algorithm="HS384"),
    "algorithm none": token(algorithm="none"),
    "no subject": token({"sub": None}),
    "subject is no string": token({"sub": ["ana"]}),
}


@pytest.mark.parametrize("bad", list(BAD_CREDENTIALS))
@pytest.mark.parametrize("way", ["query", "message", "header"])
async def test_credentials_that_are_not_good(bad: str, way: str) -> None:
    credential = BAD_CREDENTIALS[bad]
    async with server() as (live, address), witness(live, address):
        url, headers = address.websocket, {}
        if way == "query":
            url += f"?token={credential}"
        elif way == "header":
            headers = {"Authorization": f"Bearer {credential}"}
        async with connect(url, additional_headers=headers) as connection:
            if way == "message":
                await connection.send(json.dumps({"type": "auth", "token": credential}))
            assert await refusal(connection) == ("unauthorized", 4401)


async def test_no_token_and_the_first_frame_is_not_auth() -> None:
    async with server() as (live, address), witness(live, address), connect(address.websocket) as connection:
        await connection.send('{"type":"subscribe","topics":["gift-list:1"]}')
        assert await refusal(connection) == ("unauthorized", 4401)


async def test_an_address_of_too_many_parameters() -> None:
    async with server() as (live, address), witness(live, address):
        url = f"{address.websocket}?token={token()}" + "&x=1" * 40
        async with connect(url) as connection:
            assert await refusal(connection) == ("bad_frame", 1008)


async def test_no_auth_message_in_time() -> None:
    async with server(Limits(auth_seconds=1)) as (live, address), connect(address.websocket) as connection:
        async with witness(live, address):
            assert await refusal(connection) == ("auth_timeout", 4408)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("same", True), ("https://evil.example", False), ("null", False), (None, False), ("port", False)],
)
async def test_a_cookie_counts_for_pages_of_this_origin_only(origin: str | None, allowed: bool) -> None:
    async with server() as (live, address), witness(live, address):
        shown = {"same": address.http, "port": "http://127.0.0.1:1"}.get(origin or "", origin)
        headers = {"Cookie": f"other=1; session={token()}"} | ({} if shown is None else {"Origin": shown})
        async with connect(address.websocket, additional_headers=headers) as connection:
            if allowed:
                assert (await read(connection))["user"] == "ana"
            else:
                assert await refusal(connection) == ("origin_forbidden", 4403)


EVENT = {"topic": LIST, "event": "X", "data": {"entity_id": "1"}}
BAD_FRAMES: dict[str, tuple[object, str]] = {
    "not JSON": ("{", "bad_json"),
    "empty": ("", "bad_json"),
    "not an object": ([1], "bad_frame"),
    "no type": ({}, "bad_frame"),
    "type is no string": ({"type": 1}, "bad_frame"),
    "unknown type": ({"type": "shout"}, "unknown_type"),
    "topics missing": ({"type": "subscribe"}, "bad_frame"),
    "topics is text": ({"type": "subscribe", "topics": LIST}, "bad_frame"),
    "since is a list": ({"type": "subscribe", "topics": [LIST], "since": []}, "bad_frame"),
    "id too long": ({"type": "ping", "id": "x" * 65}, "bad_frame"),
    "id is a fraction": ({"type": "ping", "id": 1.5}, "bad_frame"),
    "deep nesting": ('{"type":"ping","x":' + "[" * 5_000 + "]" * 5_000 + "}", "bad_frame"),
    "no colon": ({"type": "subscribe", "topics": ["gifts"]}, "bad_topic"),
    "trailing newline": ({"type": "subscribe", "topics": [LIST + "\n"]}, "bad_topic"),
    "over-long topic": ({"type": "subscribe", "topics": ["a:" + "x" * 191]}, "bad_topic"),
    "a topic called __proto__": ({"type": "subscribe", "topics": ["__proto__:1"]}, "bad_topic"),
    "101 topics": ({"type": "subscribe", "topics": [f"gift-list:{n}" for n in range(101)]}, "too_many_topics"),
    "forbidden topic": ({"type": "subscribe", "topics": ["other:1"]}, "forbidden"),
    "another user's topic": ({"type": "subscribe", "topics": ["user:ben"]}, "forbidden"),
    "publish without the right": ({"type": "publish", **EVENT}, "forbidden"),
    "publish without an entity": ({"type": "publish", **EVENT, "data": {}}, "bad_event"),
    "publish to a wildcard": ({"type": "publish", **EVENT, "topic": "gift-list:*"}, "bad_topic"),
    "publish with a time that is none": (
        {"type": "publish", **EVENT, "data": {"entity_id": "1", "timestamp": "yesterday"}},
        "bad_event",
    ),
    "publish with a version of 0": ({"type": "publish", **EVENT, "version": 0}, "bad_event"),
    "publish a payload over the limit": (
        {"type": "publish", **EVENT, "data": {"entity_id": "1", "payload": "x" * 110_000}},
        "forbidden",  # the right is asked for first: a stranger learns nothing of limits
    ),
    "auth without a token": ({"type": "auth"}, "bad_frame"),
}


@pytest.mark.parametrize("bad", list(BAD_FRAMES))
async def test_frames_that_are_not_good_leave_the_connection_open(bad: str) -> None:
    frame, code = BAD_FRAMES[bad]
    async with server() as (live, address), witness(live, address):
        async with connect(f"{address.websocket}?token={token()}") as connection:
            assert (await read(connection))["type"] == "welcome"
            await connection.send(frame if isinstance(frame, str) else json.dumps(frame))
            error = await read(connection)
            assert (error["type"], error["code"]) == ("error", code), error
            await connection.send('{"type":"ping","id":"still here"}')
            while (answer := await read(connection)).get("id") != "still here":
                assert answer["type"] == "subscribed", "what of the frame was not refused"
            assert answer["type"] == "pong"


async def test_another_tenants_topic_is_another_topic() -> None:
    """There is no way to name it: the tenant comes from the token alone."""
    async with server() as (live, address):
        async with connect(f"{address.websocket}?token={token({'tenant': 't-2'})}") as connection:
            assert (await read(connection))["tenant"] == "t-2"
            await connection.send(json.dumps({"type": "subscribe", "topics": [LIST], "tenant": "t-1"}))
            assert (await read(connection))["type"] == "subscribed"
            await live.publish(LIST, "UPDATED", entity_id="secret", tenant="t-1")
            await live.publish(LIST, "UPDATED", entity_id="ours", tenant="t-2")
            assert (await read(connection))["data"]["entity_id"] == "ours"


@pytest.mark.parametrize(
    ("message", "close"),
    [
        ("x" * 140_000, 1009),
        (b"\x00\x01", 1003),
    ],
)
async def test_frames_that_end_the_connection(message: str | bytes, close: int) -> None:
    async with server() as (live, address), witness(live, address):
        async with connect(f"{address.websocket}?token={token()}") as connection:
            assert (await read(connection))["type"] == "welcome"
            await connection.send(message)
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(connection.recv(), 5)
            assert connection.close_code == close


async def test_text_that_is_not_utf_8() -> None:
    async with server() as (live, address), witness(live, address):
        reader, writer = await asyncio.open_connection("127.0.0.1", address.port)
        writer.write(
            f"GET /realtime/ws?token={token()} HTTP/1.1\r\nHost: 127.0.0.1:{address.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .encode()
        )  # fmt: skip
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x81\x82\x00\x00\x00\x00\xc3\x28")  # a masked text frame of two bytes that are no UTF-8
        received = await asyncio.wait_for(reader.read(), 5)
        assert received[-4:-2] == b"\x88\x02" or b"\x03\xef" in received, "a close frame with 1007"
        assert (1007).to_bytes(2, "big") in received
        writer.close()


async def test_a_flood_of_rubbish_is_cut_off() -> None:
    async with server(Limits(bad_frames_per_minute=5)) as (live, address), witness(live, address):
        async with connect(f"{address.websocket}?token={token()}") as connection:
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await connection.send("{")
                    await asyncio.wait_for(connection.recv(), 5)
            assert connection.close_code == 4429
