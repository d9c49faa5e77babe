"""One raw subscriber: it reads frames as they come, and comes back from its cursor when it is dropped."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tidings.core.codes import CloseCode
from tidings.load.dialing import Refused, close_words, dial
from tidings.load.ledger import Ledger
from tidings.load.tally import Tally

OPEN_SECONDS_MAX = 15.0
BACK_SECONDS = (0.1, 0.3, 1.0, 2.0, 4.0)  # pauses before it dials again
_FINAL = (CloseCode.UNAUTHORIZED, CloseCode.FORBIDDEN)  # the same token would be refused again


class Mark(msgspec.Struct):
    """What a publication of a load carries: whose it is, its number, and when it was due (monotonic clock)."""

    run: str
    number: int
    due_ns: int


class _Data(msgspec.Struct):
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Frame(msgspec.Struct):
    type: str | None = None
    topic: str | None = None
    data: _Data | None = None
    cursor: str | None = None
    code: str | None = None
    topics: Any = None


_decoder = msgspec.json.Decoder(_Frame)
_mark_decoder = msgspec.json.Decoder(Mark)


class Subscriber:
    """Follows one topic until it is closed.

    :ivar left_at: where it has gone for good, the last number published then; None while it is there.
    """

    def __init__(self, url: str, token: str, topic: str, tally: Tally) -> None:
        self.topic = topic
        self.ledger = Ledger()
        self.left_at: int | None = None
        self._url = url
        self._token = token
        self._tally = tally
        self._cursor: str | None = None
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Return when it is subscribed. Raises Refused."""
        begun_ns = time.monotonic_ns()
        try:
            async with asyncio.timeout(OPEN_SECONDS_MAX):
                await self._subscribe()
        except TimeoutError:
            raise Refused("timeout") from None
        self._tally.setup.add(time.monotonic_ns() - begun_ns)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.transport.abort()

    async def _subscribe(self) -> None:
        """Dial, sign in and subscribe, from the cursor where there is one. Raises Refused."""
        connection = self._connection = await dial(self._url, self._token)
        since = {} if self._cursor is None else {"since": {self.topic: self._cursor}}
        refusal: str | None = None
        try:
            await connection.send(msgspec.json.encode({"type": "subscribe", "topics": [self.topic], **since}).decode())
            while True:
                frame = _decoder.decode(await connection.recv(decode=False))
                if frame.type == "error":
                    refusal = frame.code or "error"
                elif frame.type == "subscribed":
                    if self.topic not in (frame.topics or {}):
                        raise Refused(refusal or "not subscribed")
                    self._subscribed(frame)
                    return
                elif frame.type is None:
                    self._event(frame)
        except ConnectionClosed as closed:
            raise Refused(refusal or close_words(closed)) from None
        except msgspec.MsgspecError:
            raise Refused("a frame that is not of this protocol") from None

    def _subscribed(self, frame: _Frame) -> None:
        answer = (frame.topics or {}).get(self.topic)
        if not isinstance(answer, dict):
            return
        again = self._cursor is not None
        self._cursor = answer.get("cursor") or self._cursor
        if answer.get("recovered"):
            self._tally.recovered += again
        elif again:
            # What was published up to now may be missing, and we have been told so.
            self.ledger.told(self._tally.published[self.topic])

    def _event(self, frame: _Frame) -> None:
        self._cursor = frame.cursor or self._cursor
        try:
            mark = _mark_decoder.decode(frame.data.payload if frame.data is not None else b"")
        except msgspec.MsgspecError:
            mark = None
        if mark is None or mark.run != self._tally.run_id:
            self._tally.foreign += 1
            return
        self._tally.latency.add(time.monotonic_ns() - mark.due_ns)
        self._tally.received += 1
        self.ledger.arrived(mark.number)

    async def _follow(self) -> None:
        while True:
            try:
                await self._read()
            except ConnectionClosed as closed:
                words, code = close_words(closed), closed.rcvd.code if closed.rcvd is not None else None
            except msgspec.MsgspecError:
                words, code = "a frame that is not of this protocol", None
            self._tally.dropped += 1
            self._tally.errors[words] += 1
            if code in _FINAL or not await self._come_back():
                self.left_at = self._tally.published[self.topic]
                return

    async def _read(self) -> None:
        assert self._connection is not None
        while True:
            frame = _decoder.decode(await self._connection.recv(decode=False))
            if frame.type is None:
                self._event(frame)
            elif frame.type == "subscribed":
                self._subscribed(frame)
            elif frame.type == "error":
                self._tally.errors[frame.code or "error"] += 1

    async def _come_back(self) -> bool:
        for pause_seconds in BACK_SECONDS:
            await asyncio.sleep(pause_seconds)
            try:
                async with asyncio.timeout(OPEN_SECONDS_MAX):
                    await self._subscribe()
            except (Refused, TimeoutError) as error:
                self._tally.errors[str(error) or "timeout"] += 1
            else:
                return True
        return False
