"""Reading an event stream on a real socket, by the rules of the HTML standard and not by our writer's."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

RECORD_SECONDS_MAX = 5
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass
class Record:
    """One record that an EventSource would dispatch."""

    event: str
    data: str
    last_event_id: str

    @property
    def frame(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.data)
        return frame


@dataclass
class EventSourceParser:
    """Bytes in, records out: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""

    comments: list[str] = field(default_factory=list)
    retry_ms: list[int] = field(default_factory=list)
    last_event_id: str = ""
    _rest: bytes = b""
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> Iterator[Record]:
        self._rest += chunk
        while (end := _LINE_END.search(self._rest)) and end.end() < len(self._rest) + (end[0] != b"\r"):
            line, self._rest = self._rest[: end.start()].decode(), self._rest[end.end() :]
            yield from self._line(line)

    def _line(self, line: str) -> Iterator[Record]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if self._data:
                yield Record(self._event or "message", "\n".join(self._data), self.last_event_id)
            self._event, self._data = "", []
        elif name == "":
            self.comments.append(value)
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_event_id = value
        elif name == "retry" and value.isdecimal():
            self.retry_ms.append(int(value))


class Stream:
    """An open event stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.parser = EventSourceParser()
        self._records: list[Record] = []
        self._chunks = response.aiter_raw()
        self.session = ""
        self.last_event_id = ""  # of the last record that was taken

    async def record(self) -> Record:
        """The next record. Raises TimeoutError where none comes, and StopAsyncIteration at the end."""
        async with asyncio.timeout(RECORD_SECONDS_MAX):
            while not self._records:
                self._records += self.parser.feed(await anext(self._chunks))
        record = self._records.pop(0)
        self.last_event_id = record.last_event_id
        return record

    async def frame(self) -> dict[str, Any]:
        """The next record as a frame."""
        record = await self.record()
        assert record.event == "message", record
        return record.frame

    async def events(self, count: int) -> list[dict[str, Any]]:
        """So many events, and nothing between them."""
        frames = [await self.frame() for _ in range(count)]
        assert all("type" not in frame for frame in frames), frames
        return frames

    async def end(self) -> list[Record]:
        """All records up to the end."""
        found: list[Record] = []
        try:
            while True:
                found.append(await self.record())
        except StopAsyncIteration:
            return found


@asynccontextmanager
async def streaming(http: httpx.AsyncClient, path: str, **options: Any) -> AsyncIterator[Stream]:
    """A stream that was welcomed: the next record answers its topics."""
    method = "POST" if "json" in options else "GET"
    async with http.stream(method, path, timeout=RECORD_SECONDS_MAX * 2, **options) as response:
        if response.status_code != 200:
            raise AssertionError(f"{response.status_code}: {(await response.aread()).decode()}")
        stream = Stream(response)
        welcome = await stream.frame()
        assert welcome["type"] == "welcome", welcome
        stream.session = welcome["session"]
        yield stream


def offsets(frames: list[dict[str, Any]]) -> list[int]:
    """The offsets of events, in the order in which they came."""
    return [int(frame["cursor"].rpartition("-")[2]) for frame in frames]
