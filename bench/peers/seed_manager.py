"""The usual ConnectionManager on FastAPI: a dictionary of users, one encoded message for each of them."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.peers.tokens import user_of


class ConnectionManager:
    """As tutorials have it, word for word but for its types."""

    def __init__(self) -> None:
        self.active_connections: dict[str, WebSocket] = {}
        self.subscriptions: dict[str, set[str]] = {}  # topic -> set of user_ids

    async def connect(self, websocket: WebSocket, user_id: str) -> None:
        self.active_connections[user_id] = websocket

    def disconnect(self, user_id: str) -> None:
        if user_id in self.active_connections:
            del self.active_connections[user_id]

    def subscribe(self, user_id: str, topic: str) -> None:
        if topic not in self.subscriptions:
            self.subscriptions[topic] = set()
        self.subscriptions[topic].add(user_id)

    async def broadcast(self, topic: str, event: dict[str, Any]) -> None:
        if topic not in self.subscriptions:
            return

        for user_id in self.subscriptions[topic]:
            if user_id in self.active_connections:
                ws = self.active_connections[user_id]
                await ws.send_json(event)


manager = ConnectionManager()
app = FastAPI()


@app.websocket("/ws")
async def websocket_endpoint(websocket: WebSocket, token: str) -> None:
    await websocket.accept()
    user = user_of(token)
    await manager.connect(websocket, user)
    try:
        while True:
            frame = await websocket.receive_json()
            if frame["type"] == "subscribe":
                for topic in frame["topics"]:
                    manager.subscribe(user, topic)
                await websocket.send_json({"type": "subscribed", "topics": frame["topics"]})
            elif frame["type"] == "publish":
                event = {"topic": frame["topic"], "event": frame["event"], "data": frame["data"]}
                await manager.broadcast(frame["topic"], event)
    except WebSocketDisconnect:
        manager.disconnect(user)


if __name__ == "__main__":
    # Without compression, as all others here.
    uvicorn.run(app, port=int(sys.argv[1]), log_level="critical", ws_per_message_deflate=False)
