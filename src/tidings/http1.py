"""HTTP/1.1 on asyncio's streams, one request after the other: for the client's links, the publisher and the webhooks.

h11 knows the protocol; it is there with every uvicorn. A whole HTTP client would be one more thing to install for
a few requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import h11

READ_BYTES = 65_536


class BadAnswer(Exception):
    """What came is no answer of the server that was asked."""


HTTP_FAULTS = (OSError, EOFError, UnicodeError, h11.ProtocolError, BadAnswer)


class Response:
    """Status and headers; the body is read on demand, so that who reads slowly slows the server down.

    :ivar headers: by lower-case name.
    """

    def __init__(self, wire: Wire, head: h11.Response) -> None:
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


class Wire:
    """One connection, for one request after the other.

    :ivar heard: anything of the answer to the request that runs has come.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = h11.Connection(h11.CLIENT)
        self.heard = False

    async def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send one request, and answer with its status and headers. Raises one of HTTP_FAULTS."""
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
        """What comes next of the answer. Raises one of HTTP_FAULTS."""
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
        """Whether the connection is open, as far as is known."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def abort(self) -> None:
        """Close it at once, whatever was under way."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()
