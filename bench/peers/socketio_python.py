"""python-socketio on uvicorn: rooms, as its documentation has them."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs

import socketio  # type: ignore[import-not-found]
import uvicorn

from bench.peers.tokens import user_of

server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])


@server.event  # type: ignore[untyped-decorator]
async def connect(sid: str, environ: dict[str, Any], auth: Any) -> None:
    user_of(parse_qs(environ["QUERY_STRING"])["token"][0])


@server.event  # type: ignore[untyped-decorator]
async def subscribe(sid: str, topic: str) -> None:
    await server.enter_room(sid, topic)
    await server.emit("subscribed", topic, to=sid)


@server.event  # type: ignore[untyped-decorator]
async def publish(sid: str, event: dict[str, Any]) -> None:
    await server.emit("event", event, room=event["topic"])


if __name__ == "__main__":
    uvicorn.run(socketio.ASGIApp(server), port=int(sys.argv[1]), log_level="critical", ws_per_message_deflate=False)
