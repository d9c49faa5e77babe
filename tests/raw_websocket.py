"""A WebSocket client of bytes, for what no library would send."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

SECONDS_MAX = 10.0
KEY = b"\x37\xfa\x21\x3d"
HEADERS = {
    "Host": "HOST",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def handshake(
    target: str = "/realtime/ws?token=ana",
    changed: dict[str, str | None] | None = None,
    *,
    line: str = "GET {} HTTP/1.1",
    more: str = "",
) -> bytes:
    """A request; a header that is changed to None is left out, ``more`` stands behind the headers as it is.

    ``HOST`` stands for the server's address, which ``Peer`` puts in.
    """
    headers = {name: value for name, value in {**HEADERS, **(changed or {})}.items() if value is not None}
    lines = [line.format(target), *(f"{name}: {value}" for name, value in headers.items()), more]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, first: int = 0) -> bytes:
    """A frame; ``first`` adds bits to its first byte."""
    length, mask = len(payload), 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | opcode | first])
    if length < 126:
        head += bytes([mask | length])
    elif length < 65_536:
        head += bytes([mask | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([mask | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + KEY + bytes(byte ^ KEY[place % 4] for place, byte in enumerate(payload))


def text(value: Any, *, fin: bool = True) -> bytes:
    """A text frame of JSON, or of text as it is."""
    return frame(1, (value if isinstance(value, str) else json.dumps(value)).encode(), fin=fin)


def close(code: int = 1000) -> bytes:
    """A close frame."""
    return frame(8, code.to_bytes(2, "big"))


@dataclass(frozen=True)
class Received:
    """One frame from the server."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int | None:
        return int.from_bytes(self.payload[:2], "big") if self.opcode == 8 and self.payload else None

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.payload)
        return value


class Peer:
    """One TCP connection. Everything has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self._reader = reader
        self._writer = writer
        self._port = port

    @classmethod
    async def dial(cls, port: int) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        return cls(reader, writer, port)

    async def __aenter__(self) -> Peer:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def send(self, data: bytes, *, pieces_of: int = 0) -> None:
        """Send; in pieces that the server reads one by one, where asked."""
        data = data.replace(b"HOST", f"127.0.0.1:{self._port}".encode())
        try:
            for start in range(0, len(data), pieces_of or len(data) or 1):
                self._writer.write(data[start : start + (pieces_of or len(data))])
                await self._writer.drain()
                if pieces_of:
                    await asyncio.sleep(0)
        except ConnectionError:
            return  # the server has closed: what it said is still to be read

    async def status(self) -> int | None:
        """The status of the answer, whose head is read to its end; None for none."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                self.head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return int(self.head.split(b" ")[1])

    async def opened(self, target: str = "/realtime/ws?token=ana", **options: Any) -> Peer:
        """Do a good handshake."""
        await self.send(handshake(target, **options))
        assert await self.status() == 101
        return self

    async def frame(self) -> Received | None:
        """The next frame; None at the end of the connection."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                first, second = await self._reader.readexactly(2)
                assert not second & 0x80, "a server never masks"
                assert first & 0x80 and not first & 0x70, "nor fragments, nor uses an extension"
                length = second
                if second >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if second == 126 else 8), "big")
                return Received(first & 0x0F, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def frames(self) -> list[Received]:
        """All frames until the end."""
        found: list[Received] = []
        while (received := await self.frame()) is not None:
            found.append(received)
        return found

    async def rest(self) -> bytes:
        """Whatever comes until the end, as bytes."""
        async with asyncio.timeout(SECONDS_MAX):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""

    def pause_reading(self) -> None:
        """Read no more."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def resume_reading(self) -> None:
        """Read on."""
        self._writer.transport.resume_reading()  # type: ignore[attr-defined]
