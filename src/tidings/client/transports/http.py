"""Requests over HTTP/1.1 on asyncio's streams, as the links need them: POST JSON, and read an answer that may not end.

h11 knows the protocol; it is there with every uvicorn. A whole HTTP client would be one more thing to install for
three requests.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import h11
import msgspec

from tidings.client.addresses import Address
from tidings.client.transports.proxies import Proxy, open_tunnel, proxy_for

READ_BYTES = 65_536
IDLE_MAX = 2  # connections that are kept for the next request


class BadAnswer(Exception):
    """What came is no answer of a Tidings server."""


HTTP_FAULTS = (OSError, EOFError, UnicodeError, h11.ProtocolError, BadAnswer)


class Response:
    """Status and headers; the body is read on demand, so that who reads slowly slows the server down.

    :ivar headers: by lower-case name.
    """

    def __init__(self, wire: _Wire, head: h11.Response) -> None:
        self.status = head.status_code
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        self._wire = wire

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end. Raises one of HTTP_FAULTS."""
        event = await self._wire.next_event()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def body(self, bytes_max: int) -> bytes:
        """All of it. Raises BadAnswer where it is larger, and the others of HTTP_FAULTS."""
        parts: list[bytes] = []
        size_bytes = 0
        while part := await self.read():
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > bytes_max:
                raise BadAnswer(f"the answer is larger than {bytes_max} bytes")
        return b"".join(parts)


class _Wire:
    """One connection, for one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT)
        self.heard = False  # anything of the answer to the request that runs

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        self.heard = False
        request = h11.Request(method=method, target=target, headers=list(headers.items()))
        parts = (self._protocol.send(part) for part in (request, h11.Data(data=body), h11.EndOfMessage()))
        self._writer.write(b"".join(part for part in parts if part))
        await self._writer.drain()
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Response):
                return Response(self, event)

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._protocol.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11's own sentinels are classes
            data = await self._reader.read(READ_BYTES)
            if not data and not self.heard:
                raise ConnectionResetError("the server closed the connection without an answer")
            self.heard = self.heard or bool(data)
            self._protocol.receive_data(data)

    def renew(self) -> bool:
        """Whether another request can follow."""
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            return False
        self._protocol.start_next_cycle()
        return self.usable

    @property
    def usable(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def abort(self) -> None:
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


class HttpClient:
    """Requests to one server."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[_Wire] = []
        self._context: ssl.SSLContext | None = None

    def post(
        self, name: str, body: Mapping[str, Any], token: str | None, *, query: str = ""
    ) -> AbstractAsyncContextManager[Response]:
        """POST JSON; as ``request``."""
        return self.request("POST", name, msgspec.json.encode(body), token, query=query)

    @asynccontextmanager
    async def request(
        self, method: str, name: str, content: bytes, token: str | None, *, query: str = ""
    ) -> AsyncIterator[Response]:
        """Ask ``/realtime/<name>``, with JSON; the response is there until the end of the block.

        Raises one of HTTP_FAULTS where there is no answer. Redirects are not followed: a token is for one server.
        """
        target = self._address.target(name, query)
        headers = {
            "Host": self._address.authority,
            "User-Agent": "tidings",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
        }
        authorization = self._address.basic if token is None else f"Bearer {token}"
        if authorization is not None:
            headers["Authorization"] = authorization
        wire, kept = await self._take()
        finished = False
        try:
            try:
                response = await wire.ask(method, target, headers, content)
            except HTTP_FAULTS:
                if not kept or wire.heard:
                    raise
                # Closed by the server while nobody asked: it has not seen this request.
                await wire.abort()
                wire = await self._open()
                response = await wire.ask(method, target, headers, content)
            yield response
            finished = wire.renew()
        finally:
            if finished and len(self._idle) < IDLE_MAX:
                self._idle.append(wire)
            else:
                await wire.abort()

    async def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            await self._idle.pop().abort()

    async def _take(self) -> tuple[_Wire, bool]:
        while self._idle:
            wire = self._idle.pop()
            if wire.usable:
                return wire, True
            await wire.abort()
        return await self._open(), False

    async def _open(self) -> _Wire:
        address = self._address
        proxy = proxy_for(address)
        if proxy is not None:
            return _Wire(*await self._through(proxy))
        return _Wire(*await asyncio.open_connection(address.host, address.port_number, ssl=self._tls()))

    async def _through(self, proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await open_tunnel(proxy, self._address)
        context = self._tls()
        if context is not None:
            try:
                await writer.start_tls(context, server_hostname=self._address.host)
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer

    def _tls(self) -> ssl.SSLContext | None:
        if self._address.secure and self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context
