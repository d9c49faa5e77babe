"""A link over Server-Sent Events.

The stream brings the frames; what the client has to say afterwards goes to the stream's session.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import quote

from tidings.client.transports.http import HTTP_FAULTS, HttpClient
from tidings.client.transports.link import Dial, Frame, Link, parse_frame
from tidings.client.transports.refusals import SIGN_OF_LIFE, refusal_of
from tidings.client.transports.sse_records import SseReader, SseRecord
from tidings.core.codes import ErrorCode

POST_SECONDS_MAX = 20.0  # the server takes a frame within 15 s; comments in the stream hide one that hangs
ACCEPTED_BYTES_MAX = 65_536
TIMEOUT = 4408  # the machine drops with this code what has not been welcomed in time
BUFFERED = (
    "The event stream opened, but nothing came through: something in between keeps it back, so polling takes its "
    "place. Let a proxy pass on the header X-Accel-Buffering: no, or turn its buffering off for this path "
    "(nginx: proxy_buffering off)."
)


class SseLink(Link):
    """Reads the stream in one task, and posts frames one after the other in another."""

    faults = (*Link.faults, *HTTP_FAULTS)

    def __init__(self, dial: Dial) -> None:
        super().__init__(dial)
        self._http = HttpClient(dial.address)
        self._token = dial.token
        self._opened = False
        self._session: str | None = None
        self._outgoing: asyncio.Queue[Frame] = asyncio.Queue()
        self._start(self._read)

    def send(self, frame: Frame) -> None:
        """Send a frame after those before it."""
        self._outgoing.put_nowait(frame)

    def drop(self, code: int) -> asyncio.Task[None]:
        """Listen no more; a stream that opened and never said a word is told to the developer."""
        if self._opened and self._session is None and code == TIMEOUT:
            self.cause = BUFFERED
            self._dial.warn(BUFFERED)
        return super().drop(code)

    async def _read(self) -> None:
        async with self._http.post("sse", self._dial.subscribe, self._token, query="ids=0") as response:
            if not 200 <= response.status < 300:
                refusal = await refusal_of(response)
                # Before `welcome` an error only says how long to wait.
                self._tell(refusal.frame())
                self.cause = refusal.cause
                return self._end(refusal.close_code)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                self.cause = "the answer is no event stream"  # a portal answers everything with a page of its own
                return self._end(None)
            self._opened = True
            reader = SseReader()
            while chunk := await response.read():
                for record in reader.push(chunk):
                    self._take(record)
                    await self._dial.room()
            return self._end(None)

    def _take(self, record: SseRecord) -> None:
        if record.event == "comment":
            self._tell(SIGN_OF_LIFE)
            return
        frame = parse_frame(record.data)
        if record.event == "close":
            code = None if frame is None else frame.get("code")
            self._end(code if isinstance(code, int) else None)
        elif record.event == "message":
            self._look_at_session(frame)
            self._tell(frame)

    def _look_at_session(self, frame: Frame | None) -> None:
        if frame is None or frame.get("type") != "welcome" or not isinstance(frame.get("session"), str):
            return
        if self._session is None:
            self._start(self._write)
        self._session = frame["session"]

    async def _write(self) -> None:
        while True:
            frame = await self._outgoing.get()
            async with asyncio.timeout(POST_SECONDS_MAX):
                await self._post(frame)

    async def _post(self, frame: Frame) -> None:
        if frame.get("type") == "auth":
            self._token = frame["token"]
        async with self._http.post(f"session/{quote(self._session or '', safe='')}", frame, self._token) as response:
            if not 200 <= response.status < 300:
                refusal = await refusal_of(response)
                if frame.get("type") == "ping" and response.status != 404:
                    # The stream was in doubt, and this answer did not come over it: it is no sign of life.
                    self.cause = refusal.cause
                    self._end(refusal.close_code)
                    return
                # Whoever says it: a path that is not there will not be there the next time; a new stream needs it less.
                code = ErrorCode.UNKNOWN_SESSION.value if response.status == 404 else refusal.code
                self._tell(replace(refusal, code=code).frame(frame.get("id")))
            else:
                await response.body(ACCEPTED_BYTES_MAX)  # so that the connection serves the next one too

    async def _close(self, code: int) -> None:
        await self._http.close()
