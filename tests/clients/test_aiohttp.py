"""The Python library ``aiohttp`` against ``tidings serve``, signing in by its first message."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

ANSWER_SECONDS_MAX = 10


async def test_the_conversation_with_auth_by_message(server: Any) -> None:
    topic = "gift-list:aiohttp"
    async with aiohttp.ClientSession() as session, session.ws_connect(server.websocket_url) as socket:
        await socket.send_json({"type": "auth", "token": server.token(tenant="t-1"), "id": 1})
        welcome = await socket.receive_json(timeout=ANSWER_SECONDS_MAX)
        assert (welcome["type"], welcome["user"], welcome["tenant"], welcome["id"]) == ("welcome", "u-1", "t-1", 1)
        await socket.send_json({"type": "subscribe", "topics": [topic], "id": 2})
        subscribed = await socket.receive_json(timeout=ANSWER_SECONDS_MAX)
        assert subscribed["type"] == "subscribed" and set(subscribed["topics"]) == {topic}

        event = {"topic": topic, "event": "ADDED", "data": {"entity_id": "g-1", "payload": {"n": 1}}}
        strangers = event | {"data": event["data"] | {"tenant_id": "t-2"}}  # type: ignore[operator]
        mine = event | {"data": event["data"] | {"tenant_id": "t-1"}}  # type: ignore[operator]
        headers = {"Authorization": f"Bearer {server.api_key}"}
        async with session.post(f"{server.url}/publish", json=[strangers, mine], headers=headers) as answer:
            assert answer.status == 200
            cursor = (await answer.json())["published"][1]["cursor"]
        frame = await socket.receive_json(timeout=ANSWER_SECONDS_MAX)
        assert frame["cursor"] == cursor and frame["data"]["tenant_id"] == "t-1", "another tenant's event came"

        await socket.send_json({"type": "auth", "token": server.token(tenant="t-1"), "id": 3})
        assert (await socket.receive_json(timeout=ANSWER_SECONDS_MAX))["type"] == "welcome"
        await socket.send_json({"type": "auth", "token": server.token(tenant="t-2"), "id": 4})
        refused = await socket.receive_json(timeout=ANSWER_SECONDS_MAX)
        assert (refused["code"], refused["id"]) == ("identity_changed", 4)
        end = await socket.receive(timeout=ANSWER_SECONDS_MAX)
        assert end.type is aiohttp.WSMsgType.CLOSE and end.data == 4403


async def test_protocol_pings_are_answered(server: Any) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.websocket_url}?token={server.token()}", autoping=False) as socket,
    ):
        await socket.receive_json(timeout=ANSWER_SECONDS_MAX)
        await socket.ping(b"are you there")
        pong = await socket.receive(timeout=ANSWER_SECONDS_MAX)
        assert pong.type is aiohttp.WSMsgType.PONG and pong.data == b"are you there"


async def test_one_more_than_a_user_may_have_is_refused_and_the_others_stay(server: Any) -> None:
    url = f"{server.websocket_url}?token={server.token(user='crowd')}"
    async with aiohttp.ClientSession() as session:
        sockets = [await session.ws_connect(url) for _ in range(20)]
        for socket in sockets:
            assert (await socket.receive_json(timeout=ANSWER_SECONDS_MAX))["type"] == "welcome"
        async with session.ws_connect(url) as extra:
            assert (await extra.receive_json(timeout=ANSWER_SECONDS_MAX))["code"] == "too_many_connections"
            assert (await extra.receive(timeout=ANSWER_SECONDS_MAX)).data == 4429
        await sockets[0].send_json({"type": "ping", "id": 1})
        assert (await sockets[0].receive_json(timeout=ANSWER_SECONDS_MAX))["type"] == "pong"
        await asyncio.gather(*(socket.close() for socket in sockets))
