"""Who publishes in a load: over HTTP with an API key, as a back end does, or over WebSocket with a token."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from tidings.client import ConnectionEnded, Live, PublishFailed, connect
from tidings.client.addresses import Address
from tidings.load.dialing import Refused, try_sign_in

ANSWER_SECONDS_MAX = 15.0
HTTP_CONNECTIONS = 8
EVENTS_A_REQUEST = 100
EVENT = "UPDATED"
TRANSPORTS = ("websocket",)  # the others cannot publish


class NotPublished(Exception):
    """A publication did not succeed, or nobody knows; the message is the code."""


class Publisher(Protocol):
    """Publishes one event after the other, several at a time."""

    async def publish(self, topic: str, payload: Any) -> None:
        """Return when the server has it; a topic's events are stored in the order of the calls. Raises NotPublished."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SocketPublisher:
    """Over WebSocket; servers allow clients 10 events a second unless told otherwise."""

    def __init__(self, address: Address, token: str) -> None:
        self._address = address
        self._token = token
        self._live: Live = connect(address.text, token=token, transports=TRANSPORTS)

    async def __aenter__(self) -> Self:
        """Sign in. Raises Refused where the server does not let it in, or is not there."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await try_sign_in(self._address.websocket, self._token)
                await self._live.wait_live()  # this one outlives a restart of the server
        except TimeoutError:
            raise Refused("timeout") from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._live.close()

    async def publish(self, topic: str, payload: Any) -> None:
        """Return when the server has it. Raises NotPublished."""
        try:
            await self._live.publish(topic, EVENT, entity_id="bench", payload=payload)
        except PublishFailed as error:
            raise NotPublished(error.code) from None
        except ConnectionEnded as error:
            raise NotPublished(error.reason or "connection ended") from None


_Waiting = tuple[bytes, asyncio.Future[None]]


class HttpPublisher:
    """Over HTTP, on a few connections that stay open.

    A topic keeps to one of them, so that its events are stored in their order; what waits for it goes in one request.
    """

    def __init__(self, address: Address, api_key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._queues: list[asyncio.Queue[_Waiting]] = [asyncio.Queue() for _ in range(HTTP_CONNECTIONS)]
        self._queue_of: dict[str, asyncio.Queue[_Waiting]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Nothing is sent yet."""
        self._tasks = [asyncio.create_task(self._work(waiting)) for waiting in self._queues]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def publish(self, topic: str, payload: Any) -> None:
        """Return when the server has it. Raises NotPublished."""
        event = {"topic": topic, "event": EVENT, "data": {"entity_id": "bench", "payload": payload}}
        next_queue = self._queues[len(self._queue_of) % HTTP_CONNECTIONS]
        stored = asyncio.get_running_loop().create_future()
        self._queue_of.setdefault(topic, next_queue).put_nowait((msgspec.json.encode(event), stored))
        await stored

    async def _work(self, waiting: asyncio.Queue[_Waiting]) -> None:
        kind = HTTPSConnection if self._address.secure else HTTPConnection
        connection = kind(self._address.host, self._address.port_number, timeout=ANSWER_SECONDS_MAX)
        try:
            while True:
                batch = [await waiting.get()]
                while len(batch) < EVENTS_A_REQUEST and not waiting.empty():
                    batch.append(waiting.get_nowait())
                body = b"[" + b",".join(event for event, _ in batch) + b"]"
                fault = await asyncio.to_thread(self._post, connection, body)
                for _, stored in batch:
                    if fault is None:
                        stored.set_result(None)
                    else:
                        stored.set_exception(NotPublished(fault))
        finally:
            connection.close()

    def _post(self, connection: HTTPConnection, body: bytes) -> str | None:
        """Send the events; why they were not stored, or None."""
        try:
            connection.request("POST", self._address.target("publish"), body, self._headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return getattr(error, "strerror", None) or type(error).__name__
        return None if answer.status < 300 else _code(text) or f"HTTP status {answer.status}"


def _code(text: bytes) -> str | None:
    try:
        code = msgspec.json.decode(text)["error"]["code"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None
