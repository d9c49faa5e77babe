"""RFC 6455, 4.2: the opening handshake, a request in and an answer out."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEADERS_MAX: Final = 128
HEADER_BYTES_MAX: Final = 16_384  # of the whole request: a token in its address, and cookies, fit
_KEY_BYTES: Final = 16
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PHRASES: Final = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    426: b"Upgrade Required",
    431: b"Request Header Fields Too Large",
}

Headers = Sequence[tuple[bytes, bytes]]


class HandshakeFault(Exception):
    """The request opens no WebSocket; it is answered by an HTTP status, and the connection is closed."""

    def __init__(self, status: int, reason: str, headers: Headers = ()) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        super().__init__(f"{status}: {reason}")

    def answer(self) -> bytes:
        """The whole answer."""
        body = self.reason.encode() + b"\n"
        fixed: Headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        status_line = b"HTTP/1.1 %d %b\r\n" % (self.status, _PHRASES[self.status])
        return status_line + _lines([*fixed, *self.headers]) + b"\r\n" + body


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """The request line and the headers, their names in lower case."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]

    @property
    def path(self) -> bytes:
        """The target before the query, as it was sent: nothing is decoded, nothing is made canonical."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """The target after the first question mark."""
        return self.target.partition(b"?")[2]


def parse_request(data: bytes) -> UpgradeRequest:
    """Read a request whose head is complete, as an HTTP parser has passed it on. Raises HandshakeFault."""
    head, end, _ = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    parts = lines[0].split(b" ")
    if not end or len(parts) != 3:
        raise HandshakeFault(400, "This is no HTTP request.")
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise HandshakeFault(400, "A header is malformed.")
        headers.append((name.lower(), value.strip(b" \t")))
    return UpgradeRequest(parts[0], parts[1], headers)


def check_upgrade(request: UpgradeRequest) -> bytes:
    """The key that the answer is made from. Raises HandshakeFault where the request opens no WebSocket (4.2.1)."""
    size_bytes = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)
    if len(request.headers) > HEADERS_MAX or size_bytes > HEADER_BYTES_MAX:
        raise HandshakeFault(431, f"At most {HEADERS_MAX} headers and {HEADER_BYTES_MAX} bytes of them are read.")
    if request.method != b"GET":
        raise HandshakeFault(405, "A WebSocket is opened by GET.", [(b"allow", b"GET")])
    found: dict[bytes, list[bytes]] = {}
    for name, value in request.headers:
        found.setdefault(name, []).append(value)
    if b"upgrade" not in _tokens(found, b"connection") or b"websocket" not in _tokens(found, b"upgrade"):
        raise HandshakeFault(
            426, "Connection: Upgrade and Upgrade: websocket are needed.", [(b"upgrade", b"websocket")]
        )
    if found.get(b"sec-websocket-version") != [b"13"]:
        raise HandshakeFault(426, "The version must be 13.", [(b"sec-websocket-version", b"13")])
    if b"transfer-encoding" in found or any(length != b"0" for length in found.get(b"content-length", ())):
        raise HandshakeFault(400, "A handshake has no body.")
    if len(found.get(b"origin", ())) > 1:
        raise HandshakeFault(400, "Origin must stand there once.")  # who decides by one must not meet the other
    if not all(value.isascii() for value in found.get(b"sec-websocket-protocol", ())):
        raise HandshakeFault(400, "A subprotocol's name is ASCII.")
    keys = found.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HandshakeFault(400, "Sec-WebSocket-Key must stand there once, and be 16 bytes in base64.")
    return keys[0]


def accept_answer(key: bytes, headers: Headers = ()) -> bytes:
    """The answer that opens the WebSocket: no extension, no subprotocol."""
    # SHA-1 is the RFC's: it shows that the answer is meant, and protects nothing.
    accepted = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accepted, _lines(headers))
    )


def _tokens(found: dict[bytes, list[bytes]], name: bytes) -> set[bytes]:
    return {token.strip(b" \t").lower() for value in found.get(name, ()) for token in value.split(b",")}


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def _lines(headers: Headers) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
