"""The Python library ``websockets`` against ``tidings serve``: the whole conversation, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

ANSWER_SECONDS_MAX = 10


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


async def ask(socket: ClientConnection, **frame: Any) -> dict[str, Any]:
    await socket.send(json.dumps(frame))
    return await receive(socket)


async def closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """The frames until the close, and its code."""
    frames: list[dict[str, Any]] = []
    while True:
        try:
            frames.append(await receive(socket))
        except ConnectionClosed as end:
            assert end.rcvd is not None, "the server went without a close frame"
            return frames, end.rcvd.code


async def test_the_whole_conversation(server: Any) -> None:
    topic = "gift-list:websockets"
    async with connect(f"{server.websocket_url}?token={server.token(tenant=None)}") as socket:
        welcome = await receive(socket)
        assert (welcome["type"], welcome["topic"], welcome["user"], welcome["tenant"], welcome["protocol"]) == (
            "welcome", "system", "u-1", None, 1,
        )  # fmt: skip
        assert welcome["heartbeat_seconds"] == 25 and 3_500 < welcome["expires_in_seconds"] <= 3_600
        subscribed = await ask(socket, type="subscribe", topics=[topic, "gift-list:*", "user:999"], id=1)
        assert (subscribed["type"], subscribed["code"], subscribed["topic"], subscribed["id"]) == (
            "error", "forbidden", "user:999", 1,
        )  # fmt: skip
        subscribed = await receive(socket)
        assert subscribed["id"] == 1 and set(subscribed["topics"]) == {topic, "gift-list:*"}
        start = subscribed["topics"][topic]
        assert start["recovered"] is False and start["reason"] == "no_cursor" and start["cursor"].endswith("-0")
        cursor = await asyncio.to_thread(server.publish, topic, 1)
        event = await receive(socket)
        assert (event["topic"], event["event"], event["cursor"]) == (topic, "UPDATED", cursor)
        assert event["data"]["entity_id"] == "g-1" and event["data"]["payload"] == {"n": 1}
        assert "type" not in event and len(event["trace_id"]) == 32 and event["data"]["timestamp"].endswith("Z")
        assert await ask(socket, type="ping", id="p") == {"type": "pong", "topic": "system", "id": "p"}
        answer = await ask(socket, type="unsubscribe", topics=[topic, "gift-list:*"], id=2)
        assert answer["type"] == "unsubscribed" and answer["id"] == 2
        await asyncio.to_thread(server.publish, topic, 2)
        assert (await ask(socket, type="ping"))["type"] == "pong", "an event came after unsubscribe"
    async with connect(f"{server.websocket_url}?token={server.token()}") as socket:
        await receive(socket)
        answer = await ask(socket, type="subscribe", topics=[topic], since={topic: cursor}, id=3)
        assert answer["topics"][topic] == {"cursor": cursor, "recovered": True}
        assert (await receive(socket))["data"]["payload"] == {"n": 2}, "what was missed did not come"


async def test_publishing_by_a_client(server: Any) -> None:
    async with connect(f"{server.websocket_url}?token={server.token(tenant='t-1')}") as socket:
        await receive(socket)
        await ask(socket, type="subscribe", topics=["gift-list:mine"])
        data = {"entity_id": "g", "user_id": "somebody else", "payload": None}
        frame = {"type": "publish", "topic": "gift-list:mine", "event": "ADDED", "data": data, "id": 9}
        await socket.send(json.dumps(frame))
        frames = [await receive(socket), await receive(socket)]
        event = next(f for f in frames if "type" not in f)
        published = next(f for f in frames if f.get("type") == "published")
        assert (event["data"]["user_id"], event["data"]["tenant_id"]) == ("u-1", "t-1")
        assert published == {"type": "published", "topic": "gift-list:mine", "cursor": event["cursor"], "id": 9}


async def test_compression_is_offered_and_not_taken(server: Any) -> None:
    async with connect(f"{server.websocket_url}?token={server.token()}", compression="deflate") as socket:
        assert socket.response is not None
        assert "sec-websocket-extensions" not in socket.response.headers


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not JSON", "bad_json"),
        ("[]", "bad_frame"),
        ("[" * 5_000, "bad_frame"),
        ('{"type":"nothing"}', "unknown_type"),
        ('{"type":"subscribe"}', "bad_frame"),
        ('{"type":"subscribe","topics":["nocolon"]}', "bad_topic"),
        (json.dumps({"type": "subscribe", "topics": [f"gift-list:{n}" for n in range(101)]}), "too_many_topics"),
        ('{"type":"publish","topic":"news:1","event":"ADDED","data":{"entity_id":"n"}}', "forbidden"),
    ],
)
async def test_bad_frames_leave_the_connection_open(message: str, code: str, server: Any) -> None:
    async with connect(f"{server.websocket_url}?token={server.token()}") as socket:
        await receive(socket)
        await socket.send(message)
        frame = await receive(socket)
        while frame["type"] != "error":
            frame = await receive(socket)
        assert frame["code"] == code
        await socket.send('{"type":"ping","id":"after"}')
        while frame.get("id") != "after":
            frame = await receive(socket)
        assert frame["type"] == "pong"


@pytest.mark.parametrize(
    ("query", "headers", "first", "error", "close"),
    [
        ("?token=wrong", {}, None, "unauthorized", 4401),
        ("", {}, '{"type":"ping"}', "unauthorized", 4401),
        ("", {}, '{"type":"auth","token":"wrong"}', "unauthorized", 4401),
        ("?token=TOKEN", {"Origin": "https://evil.example"}, None, "origin_forbidden", 4403),
        ("?token=TOKEN", {"Origin": "null"}, None, "origin_forbidden", 4403),
    ],
)
async def test_refusals_are_told_and_closed(
    query: str, headers: dict[str, str], first: str | None, error: str, close: int, server: Any
) -> None:
    url = server.websocket_url + query.replace("TOKEN", server.token())
    async with connect(url, additional_headers=headers) as socket:
        if first is not None:
            await socket.send(first)
        frames, code = await closed(socket)
        assert [frame["code"] for frame in frames] == [error]
        assert code == close


@pytest.mark.parametrize(("message", "close"), [(b"binary", 1003), ("x" * 131_073, 1009)])
async def test_what_no_client_may_send(message: str | bytes, close: int, server: Any) -> None:
    async with connect(f"{server.websocket_url}?token={server.token()}") as socket:
        await receive(socket)
        await socket.send(message)
        assert (await closed(socket))[1] == close


async def test_no_token_reaches_the_log(server: Any) -> None:
    token = server.token()
    async with connect(f"{server.websocket_url}?token={token}") as socket:
        await receive(socket)
    said = "".join(server.process.errors)
    assert "?token=[redacted]" in said, "the access log does not show the request at all"
    assert token not in said and token.split(".")[1] not in said


async def test_a_stopping_server_sends_its_clients_away(serve: Callable[[], Any]) -> None:
    with serve() as server:
        async with connect(f"{server.websocket_url}?token={server.token()}") as socket:
            await receive(socket)
            server.process.command.send_signal(signal.SIGINT)  # SIGTERM opens a window: test_drain.py
            frames, code = await closed(socket)
            assert [frame["type"] for frame in frames] == ["reconnect"]
            assert frames[0]["delay_ms"] > 0
            assert code == 1012
        await asyncio.to_thread(server.process.command.wait, ANSWER_SECONDS_MAX)
        assert "Traceback" not in "".join(server.process.errors)
