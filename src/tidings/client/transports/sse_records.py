"""Reads an event stream: bytes in, records out, however the network has cut it."""

from __future__ import annotations

from dataclasses import dataclass

from tidings.client.transports.http import BadAnswer
from tidings.client.transports.link import FRAME_BYTES_MAX


@dataclass(frozen=True, slots=True)
class SseRecord:
    """One record; a comment, which is a sign of life, has the event ``comment`` and no data."""

    event: str
    data: bytes = b""


COMMENT = SseRecord("comment")


class SseReader:
    """Keeps what is not yet whole."""

    def __init__(self, record_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._record_bytes_max = record_bytes_max
        self._rest = bytearray()
        self._event = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def push(self, chunk: bytes) -> list[SseRecord]:
        """The records that are whole with this. Raises BadAnswer for one that is too large."""
        looked_at = len(self._rest)
        self._rest += chunk
        records: list[SseRecord] = []
        start = 0
        while (end := self._rest.find(b"\n", max(start, looked_at))) != -1:
            self._line(bytes(self._rest[start:end]).removesuffix(b"\r"), records)
            start = end + 1
        del self._rest[:start]
        if len(self._rest) + self._data_bytes > self._record_bytes_max:
            raise BadAnswer(f"a record of the stream is larger than {self._record_bytes_max} bytes")
        return records

    def _line(self, line: bytes, records: list[SseRecord]) -> None:
        if not line:
            self._end(records)
        elif line.startswith(b":"):
            records.append(COMMENT)
        else:
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                self._data.append(value)
                self._data_bytes += len(value)
            elif field == b"event":
                self._event = value.decode("utf-8", "replace")

    def _end(self, records: list[SseRecord]) -> None:
        if self._data:
            records.append(SseRecord(self._event or "message", b"\n".join(self._data)))
        self._event = ""
        self._data = []
        self._data_bytes = 0
