"""The least that ASGI allows: uvicorn's WebSocket, the token's check, a list a topic, one encoded text for all."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from bench.peers.tokens import user_of

Send = Callable[[dict[str, Any]], Awaitable[None]]

_members: defaultdict[str, set[Send]] = defaultdict(set)


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    user_of(parse_qs(scope["query_string"].decode())["token"][0])
    await send({"type": "websocket.accept"})
    mine: list[str] = []
    while (message := await receive())["type"] != "websocket.disconnect":
        frame = json.loads(message["text"])
        if frame["type"] == "subscribe":
            mine += frame["topics"]
            for topic in frame["topics"]:
                _members[topic].add(send)
            await send({"type": "websocket.send", "text": json.dumps({"type": "subscribed"})})
        elif frame["type"] == "publish":
            event = {"topic": frame["topic"], "event": frame["event"], "data": frame["data"]}
            out = {"type": "websocket.send", "text": json.dumps(event, separators=(",", ":"))}
            for member in list(_members[frame["topic"]]):
                await member(out)
    for topic in mine:
        _members[topic].discard(send)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", ws_per_message_deflate=False, lifespan="off")
