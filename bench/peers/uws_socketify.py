"""uWebSockets (socketify): its own publish, which walks the subscribers in C++ and joins the writes of one turn."""

from __future__ import annotations

import json
import sys
from typing import Any

from socketify import App, AppListenOptions, OpCode  # type: ignore[import-not-found]

from bench.peers.tokens import user_of

app = App()


def upgrade(response: Any, request: Any, context: Any) -> None:
    user = user_of(request.get_query("token"))
    key, protocol, extensions = (
        request.get_header(name) for name in ("sec-websocket-key", "sec-websocket-protocol", "sec-websocket-extensions")
    )
    response.upgrade(key, protocol, extensions, context, {"user": user})


def message(socket: Any, text: str, opcode: Any) -> None:
    frame = json.loads(text)
    if frame["type"] == "subscribe":
        for topic in frame["topics"]:
            socket.subscribe(topic)
        socket.send(json.dumps({"type": "subscribed"}), OpCode.TEXT)
    elif frame["type"] == "publish":
        event = {"topic": frame["topic"], "event": frame["event"], "data": frame["data"]}
        app.publish(frame["topic"], json.dumps(event, separators=(",", ":")), OpCode.TEXT, False)


if __name__ == "__main__":
    app.ws("/ws", {"upgrade": upgrade, "message": message, "compression": 0, "idle_timeout": 120})
    app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda config: None)
    app.run()
