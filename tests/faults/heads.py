"""The requests in what a client sends: where each begins, and which path it asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_UPGRADE_HEADERS = re.compile(rb"\r\n(?:upgrade|connection|sec-websocket-[a-z]+):[^\r]*", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade:\s*websocket", re.IGNORECASE)


@dataclass(frozen=True)
class Head:
    """A request's first line and headers, with the empty line behind them."""

    raw: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return self.raw.split(b" ", 2)[1].partition(b"?")[0].decode("latin-1")

    @property
    def upgrades(self) -> bool:
        return _UPGRADE.search(self.raw) is not None

    def stripped(self) -> bytes:
        """Without what asks for an upgrade."""
        return _UPGRADE_HEADERS.sub(b"", self.raw)

    def closing(self) -> bytes:
        """Asking the server to close after its answer."""
        return _CONNECTION.sub(b"", self.raw)[:-2] + b"Connection: close\r\n\r\n"


class Requests:
    """Bytes in, heads and bodies out.

    After an upgrade, or a body without a length, the rest belongs to the last request.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._body_bytes: float = 0

    def feed(self, data: bytes) -> Iterator[Head | bytes]:
        self._rest += data
        while self._rest:
            if self._body_bytes:
                taken = int(min(len(self._rest), self._body_bytes))
                body, self._rest = self._rest[:taken], self._rest[taken:]
                self._body_bytes -= taken
                yield body
                continue
            end = self._rest.find(b"\r\n\r\n")
            if end < 0:
                return
            head, self._rest = Head(self._rest[: end + 4]), self._rest[end + 4 :]
            length = _LENGTH.search(head.raw)
            if head.upgrades or _CHUNKED.search(head.raw):
                self._body_bytes = float("inf")
            elif length:
                self._body_bytes = int(length[1])
            yield head
