"""The sockets of the clients' own links: what `websockets` and their HTTP are to them, over the simulated network.

The links themselves are the product's (``tidings.client.transports``). An ear is laid to each connection here,
where the bytes arrive, so that what a link makes of them is not taken for granted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

from tests.simulation.front import Front, ResponseEnds, SocketEnds
from tests.simulation.network import Pipe
from tests.simulation.wiretap import Frame, Wiretap
from tests.streams import EventSourceParser
from tidings.client.addresses import Address

_CLOSE_CODES = {401: 4401, 403: 4403, 429: 4429}


@dataclass
class Network:
    """One client's way to the servers; found by the host of its address.

    :ivar pipe: a new connection.
    :ivar front: the process that a new connection reaches, another one each time; None where none takes it.
    :ivar blocked: what a box in between does to a transport at the moment.
    :ivar open: the connections that a fault can hit, with their transport.
    """

    pipe: Callable[[], Pipe]
    front: Callable[[], Front | None]
    tap: Callable[[], Wiretap]
    blocked: Callable[[str], str | None]
    open: dict[Pipe, str] = field(default_factory=dict)

    def connect(self, transport: str) -> Pipe:
        pipe = self.pipe()
        self.open[pipe] = transport
        return pipe


NETWORKS: dict[str, Network] = {}


class Connection:
    """What `websockets` gives to :class:`tidings.client.transports.websocket.WebSocketLink`."""

    def __init__(self, network: Network, query: str) -> None:
        self.close_code: int | None = None
        self.transport = self
        self._network = network
        self._query = query
        self._tap = network.tap()
        self._tap.shows(query.partition("=")[2])
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pipe = network.connect("websocket")
        self._send: Callable[[str], None] = lambda _: None
        self._pipe.up(self._arrived)

    async def opened(self) -> Self:
        await self._opened
        return self

    def _arrived(self) -> None:
        front, blocked = self._network.front(), self._network.blocked("websocket")
        if blocked == "swallowed":
            return
        if front is None or blocked is not None:
            self._pipe.close_by_server(lambda: self._lost(None))
            return
        self._send = front.websocket(self._pipe, self._query, SocketEnds(self._open, self._frame, self._lost))

    def _open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _frame(self, text: str) -> None:
        self._tap.heard(text, json.loads(text))
        self._frames.put_nowait(text)

    def _lost(self, code: int | None) -> None:
        self._network.open.pop(self._pipe, None)
        self._tap.ended(code)
        self.close_code = code
        if not self._opened.done():
            self._opened.set_exception(ConnectionRefusedError("nobody took the connection"))
            self._opened.exception()  # seen, whoever still waits
        self._frames.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._frames.get()) is not None:
            yield text

    async def send(self, text: str) -> None:
        self._tap.sent(json.loads(text))
        self._send(text)

    async def close(self, code: int) -> None:
        self.abort()

    def abort(self) -> None:
        self._network.open.pop(self._pipe, None)
        self._tap.closed()
        self._pipe.close_by_client()


async def connect(url: str, **options: Any) -> Connection:
    """In the place of ``websockets.connect``."""
    parts = urlsplit(url)
    connection = Connection(NETWORKS[parts.hostname or ""], parts.query)
    try:
        return await connection.opened()
    except BaseException:
        connection.abort()
        raise


class Response:
    """In the place of ``tidings.http1.Response``."""

    def __init__(self, network: Network, transport: str, tap: Wiretap | None, frame_id: Any) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ends = ResponseEnds(self._started, self._chunk, self._ended, self._lost)
        self.pipe = network.connect(transport)
        self.pipe.on_client_gone = self._lost
        self._network = network
        self._transport = transport
        self._tap = tap
        self._frame_id = frame_id
        self._stream = EventSourceParser()
        self._held_back: list[bytes] = []
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._over = False

    def _started(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        if not self.started.done():
            self.started.set_result(None)

    def _chunk(self, data: bytes) -> None:
        if self._network.blocked(self._transport) == "buffered":
            self._held_back.append(data)
            return
        held_back, self._held_back = self._held_back, []
        for part in [*held_back, data]:
            self._listen(part)
            self._chunks.put_nowait(part)

    def _listen(self, data: bytes) -> None:
        if self._tap is None or self.status != 200 or self._transport == "poll":
            return
        for record in self._stream.feed(data):
            if record.event == "close":
                self._tap.ended(json.loads(record.data)["code"])
            else:
                self._tap.heard(record.data, json.loads(record.data))

    def _ended(self) -> None:
        self._finish()
        self._chunks.put_nowait(b"")

    def _lost(self) -> None:
        self._finish()
        if not self.started.done():
            self.started.set_exception(ConnectionResetError("the connection broke"))
            self.started.exception()  # seen, whoever still waits
        self._chunks.put_nowait(None)

    def _finish(self) -> None:
        self._over = True
        self._network.open.pop(self.pipe, None)
        if self._tap is not None:
            if self.status not in (0, 200):
                self._tap.ended(_CLOSE_CODES.get(self.status))
            if self._transport == "sse":
                self._tap.closed()

    async def read(self) -> bytes:
        data = await self._chunks.get()
        if data is None:
            raise ConnectionResetError("the connection broke")
        return data

    async def body(self, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        while part := await self.read():
            parts.append(part)
        body = b"".join(parts)
        if self._tap is not None and self._transport == "poll" and self.status == 200:
            for frame in json.loads(body)["frames"]:
                self._tap.heard(json.dumps(frame), frame)
        return body

    def close(self) -> None:
        if self._tap is not None:
            self._tap.closed()
        if not self._over:
            self._over = True
            self._network.open.pop(self.pipe, None)
            self.pipe.close_by_client()


class Http:
    """In the place of ``tidings.client.transports.http.HttpClient``: a connection for each request."""

    def __init__(self, address: Address) -> None:
        self._network = NETWORKS[address.host]
        self._query = address.query
        self._stream: Wiretap | None = None

    @asynccontextmanager
    async def post(
        self, name: str, body: Mapping[str, Any], token: str | None, *, query: str = ""
    ) -> AsyncIterator[Response]:
        transport = "poll" if name == "poll" else "sse"
        response = self._ask(name, transport, dict(body), token, "&".join(filter(None, (self._query, query))))
        try:
            await response.started
            yield response
        finally:
            response.close()

    def _ask(self, name: str, transport: str, body: Frame, token: str | None, query: str) -> Response:
        network, frame_id = self._network, body.get("id")
        tap: Wiretap | None = None
        if name.startswith("session/"):
            assert self._stream is not None
            self._stream.sent(body)
            response: Response = _Posted(network, transport, self._stream, frame_id)
        else:
            tap = network.tap()
            tap.shows(token or self._query.partition("=")[2])
            if transport == "poll":
                body = {**body, "id": 0}  # so that the answer can be known as one
            else:
                self._stream = tap
            tap.sent({"type": "subscribe", **body})
            response = Response(network, transport, tap, frame_id)
        headers = [(b"content-type", b"application/json")]
        if token is not None:
            headers.append((b"authorization", f"Bearer {token}".encode()))

        def arrived() -> None:
            front, blocked = network.front(), network.blocked(transport)
            if blocked == "swallowed":
                return
            if front is None or blocked == "refused":
                response.pipe.close_by_server(response.ends.lost)
            else:
                path = f"/realtime/{name}"
                front.http(response.pipe, path, query, headers, json.dumps(body).encode(), response.ends)

        response.pipe.up(arrived)
        return response

    async def close(self) -> None:
        """Nothing is kept."""


class _Posted(Response):
    """The answer to a frame of a stream's session: the stream itself answers what was asked, unless this refuses."""

    def _finish(self) -> None:
        self._over = True
        self._network.open.pop(self.pipe, None)
        if self.status not in (0, 202) and self._tap is not None:
            self._tap.asked.pop(self._frame_id, None)

    def _listen(self, data: bytes) -> None:
        """Only a word of acceptance."""

    def close(self) -> None:
        self._tap = None
        super().close()


class Ordered(dict[Any, None]):
    """A set with an order, for the tasks of a link: what is drawn when they end must not hang on their addresses."""

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(dict.fromkeys(items))

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)
