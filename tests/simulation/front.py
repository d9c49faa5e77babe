"""An ASGI server without sockets: runs the real application over pipes, WebSocket and HTTP alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.network import Gone, Pipe

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]


@dataclass
class SocketEnds:
    """The client's end of a WebSocket."""

    opened: Callable[[], None]
    frame: Callable[[str], None]
    lost: Callable[[int | None], None]


@dataclass
class ResponseEnds:
    """The client's end of one HTTP request."""

    started: Callable[[int, dict[str, str]], None]
    chunk: Callable[[bytes], None]
    ended: Callable[[], None]
    lost: Callable[[], None]


@dataclass
class Front:
    """What one process serves.

    :ivar failed: is told what the application raised.
    """

    app: Any
    failed: Callable[[BaseException], None]
    tasks: dict[asyncio.Task[None], Pipe] = field(default_factory=dict)

    def websocket(self, pipe: Pipe, query: str, ends: SocketEnds) -> Callable[[str], None]:
        """A handshake has come; returns how the client sends a frame."""
        inbox: asyncio.Queue[Message] = asyncio.Queue()
        inbox.put_nowait({"type": "websocket.connect"})
        pipe.on_server_gone = lambda: inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})
        pipe.on_client_gone = lambda: ends.lost(None)
        closed = False

        async def send(message: Message) -> None:
            nonlocal closed
            if closed:
                raise RuntimeError("sent after close")
            match message["type"]:
                case "websocket.accept":
                    await pipe.down(200, ends.opened)
                case "websocket.send":
                    text = message["text"]
                    await pipe.down(len(text), lambda: ends.frame(text))
                case "websocket.close":
                    closed = True
                    code = message["code"]
                    pipe.close_by_server(lambda: ends.lost(code))

        self._run({"type": "websocket", **_scope("/realtime/ws", query, [])}, pipe, inbox.get, send)
        return lambda text: pipe.up(lambda: inbox.put_nowait({"type": "websocket.receive", "text": text}))

    def http(self, pipe: Pipe, path: str, query: str, headers: Headers, body: bytes, ends: ResponseEnds) -> None:
        """A request has come, whole."""
        inbox: asyncio.Queue[Message] = asyncio.Queue()
        inbox.put_nowait({"type": "http.request", "body": body, "more_body": False})
        pipe.on_server_gone = lambda: inbox.put_nowait({"type": "http.disconnect"})
        pipe.on_client_gone = ends.lost
        complete = False

        async def send(message: Message) -> None:
            nonlocal complete
            with suppress(Gone):  # over HTTP a server says nothing of a peer that is gone, but by `receive`
                if message["type"] == "http.response.start":
                    status = message["status"]
                    found = {name.decode(): value.decode() for name, value in message["headers"]}
                    await pipe.down(200, lambda: ends.started(status, found))
                    return
                data = message.get("body", b"")
                if data:
                    await pipe.down(len(data), lambda: ends.chunk(data))
                if not message.get("more_body", False):
                    complete = True
                    pipe.close_by_server(ends.ended)

        def returned() -> None:
            if not complete:  # a server that was given half an answer closes the connection
                pipe.close_by_server(ends.lost)

        scope = {"type": "http", "method": "POST", **_scope(path, query, headers)}
        self._run(scope, pipe, inbox.get, send, returned)

    def kill(self) -> None:
        """``kill -9``: nobody says good-bye, and what still runs reaches nobody."""
        for pipe in list(self.tasks.values()):
            pipe.kill_server()
        for task in list(self.tasks):
            task.cancel()

    def _run(
        self,
        scope: dict[str, Any],
        pipe: Pipe,
        receive: Any,
        send: Any,
        returned: Callable[[], None] = lambda: None,
    ) -> None:
        async def run() -> None:
            try:
                await self.app(scope, receive, send)
            except Gone:
                pass  # an ASGI server swallows what a write to nobody raises
            except Exception as error:
                self.failed(error)
            returned()

        task = asyncio.get_running_loop().create_task(run())
        self.tasks[task] = pipe
        task.add_done_callback(lambda done: self.tasks.pop(done, None))


def _scope(path: str, query: str, headers: Headers) -> dict[str, Any]:
    return {
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"sim"), *headers],
        "client": ("10.0.0.1", 1),
        "server": ("sim", 80),
        "subprotocols": [],
        "state": {},
    }
