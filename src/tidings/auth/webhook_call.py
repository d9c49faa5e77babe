"""One signed HTTP call to the user's back end: bounded in time, in number, and by a circuit breaker.

It knows nothing of what is asked. No answer is an answer too: :class:`NoAnswer`, which callers turn into a refusal.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from tidings.auth.webhook_breaker import Breaker, BreakerState
from tidings.auth.webhook_signature import SIGNATURE_HEADER, sign
from tidings.core.errors import TidingsError
from tidings.http1 import HTTP_FAULTS, Wire
from tidings.ports import Clock

ANSWER_BYTES_MAX = 65_536
TURN_SECONDS_MAX = 5.0  # how long a call waits while as many as may are under way; below the 10 s of a handshake

_log = logging.getLogger("tidings.webhook")
T = TypeVar("T")


class NoAnswer(TidingsError):
    """The back end gave no answer that counts; the reason is for the log, never for a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """Where the back end is, and what one call may take.

    :ivar concurrency: calls under way at the same time.
    :ivar failures_max: so many failures in a row open the circuit breaker; 0 never does.
    :ivar pause_seconds: how long it stays open before one call is tried.
    """

    url: str
    secret: str
    timeout_seconds: float = 2.0
    concurrency: int = 32
    failures_max: int = 5
    pause_seconds: float = 5.0


class BackEnd:
    """The user's back end, as far as it is called. ``close`` it at the end."""

    def __init__(self, options: CallOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._place = _Place.of(options.url)
        self._breaker = Breaker(options.failures_max, options.pause_seconds)
        self._turns = asyncio.Semaphore(options.concurrency)
        self._idle: list[Wire] = []
        self._context: ssl.SSLContext | None = None

    async def ask(self, call: Mapping[str, Any], read: Callable[[int, Any], T]) -> T:
        """POST the call, with an id of its own, and give what ``read(status, JSON or None)`` makes of the answer.

        ``read`` raises ValueError for an answer that is none. Raises NoAnswer.
        """
        body = msgspec.json.encode({"id": secrets.token_hex(16), **call})
        try:
            async with asyncio.timeout(TURN_SECONDS_MAX):
                await self._turns.acquire()
        except TimeoutError:
            raise NoAnswer(f"{self._options.concurrency} calls are under way, and none ended in time") from None
        try:
            if not self._breaker.admits(self._clock.monotonic()):
                raise NoAnswer("it has failed too often in a row, and is left alone for a moment")
            return await self._judged(body, read)
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Let go of the connections that are kept."""
        while self._idle:
            await self._idle.pop().abort()

    async def _judged(self, body: bytes, read: Callable[[int, Any], T]) -> T:
        """Make the call, and let the breaker know what became of it."""
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                status, answer = await self._exchange(body)
            found = read(status, _decoded(answer))
        except TimeoutError:
            raise self._failed(f"no answer within {self._options.timeout_seconds:g} s") from None
        except (*HTTP_FAULTS, ValueError) as error:
            raise self._failed(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
        except BaseException:
            self._breaker.abandoned(self._clock.monotonic())
            raise
        if self._breaker.succeeded():
            _log.info("the back end %s answers again", self._place.shown)
        return found

    def _failed(self, why: str) -> NoAnswer:
        before = self._breaker.state
        self._breaker.failed(self._clock.monotonic())
        if before is not BreakerState.OPEN:  # else it has been said
            left_alone = self._breaker.state is BreakerState.OPEN
            consequence = f"; it is not asked for {self._options.pause_seconds:g} s" if left_alone else ""
            _log.warning("no answer from the back end %s: %s%s", self._place.shown, why, consequence)
        return NoAnswer(why)

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        place = self._place
        headers = {
            "Host": place.authority,
            "User-Agent": "tidings",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            SIGNATURE_HEADER: sign(self._options.secret, body, int(self._clock.now().timestamp())),
        }
        wire, kept = await self._take()
        reusable = False
        try:
            try:
                response = await wire.ask("POST", place.target, headers, body)
            except HTTP_FAULTS:
                if not kept or wire.heard:
                    raise
                # Closed by the back end while nobody asked: it has not seen this call.
                await wire.abort()
                wire = await self._open()
                response = await wire.ask("POST", place.target, headers, body)
            answer = await response.body(ANSWER_BYTES_MAX)
            reusable = wire.renew()
            return response.status, answer
        finally:
            if reusable and len(self._idle) < self._options.concurrency:
                self._idle.append(wire)
            else:
                with suppress(asyncio.CancelledError):
                    await wire.abort()

    async def _take(self) -> tuple[Wire, bool]:
        while self._idle:
            wire = self._idle.pop()
            if wire.usable:
                return wire, True
            await wire.abort()
        return await self._open(), False

    async def _open(self) -> Wire:
        place = self._place
        if place.secure and self._context is None:
            self._context = ssl.create_default_context()
        return Wire(*await asyncio.open_connection(place.host, place.port, ssl=self._context))


@dataclass(frozen=True, slots=True)
class _Place:
    """A URL, taken apart."""

    host: str
    port: int
    secure: bool
    authority: str
    target: str
    shown: str

    @classmethod
    def of(cls, url: str) -> _Place:
        check_url(url)
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host = parts.hostname or ""
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
        return cls(host, parts.port or (443 if secure else 80), secure, parts.netloc, target, shown)


def check_url(url: str) -> None:
    """Raise ValueError unless a call can be sent there."""
    parts = urlsplit(url)
    good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.fragment
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be the address of your back end, such as http://127.0.0.1:3000/tidings")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or a password: calls are signed instead")
    _ = parts.port  # raises ValueError where it is none


def _decoded(answer: bytes) -> Any:
    try:
        return msgspec.json.decode(answer) if answer else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
