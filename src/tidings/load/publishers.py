"""Who publishes in a load: over HTTP with an API key, as a back end does, or over WebSocket with a token."""

from __future__ import annotations

import asyncio
import queue
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from tidings.client import ConnectionEnded, Live, PublishFailed, connect
from tidings.client.addresses import Address

ANSWER_SECONDS_MAX = 15.0
HTTP_CONNECTIONS = 8
EVENT = "UPDATED"


class NotPublished(Exception):
    """A publication did not succeed, or nobody knows; the message is the code."""


class Publisher(Protocol):
    """Publishes one event after the other, several at a time."""

    async def publish(self, topic: str, payload: Any) -> None:
        """Return when the server has it. Raises NotPublished."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SocketPublisher:
    """Over WebSocket; servers allow clients 10 events a second unless told otherwise."""

    def __init__(self, address: Address, token: str) -> None:
        self._live: Live = connect(address.text, token=token, attempts_limit=3)

    async def __aenter__(self) -> Self:
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


class HttpPublisher:
    """Over HTTP, on a few connections that stay open."""

    def __init__(self, address: Address, api_key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
        self._idle: queue.SimpleQueue[HTTPConnection] = queue.SimpleQueue()
        self._slots = asyncio.Semaphore(HTTP_CONNECTIONS)

    async def __aenter__(self) -> Self:
        kind = HTTPSConnection if self._address.secure else HTTPConnection
        for _ in range(HTTP_CONNECTIONS):
            self._idle.put(kind(self._address.host, self._address.port_number, timeout=ANSWER_SECONDS_MAX))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    async def publish(self, topic: str, payload: Any) -> None:
        """Return when the server has it. Raises NotPublished."""
        event = {"topic": topic, "event": EVENT, "data": {"entity_id": "bench", "payload": payload}}
        async with self._slots:
            await asyncio.to_thread(self._post, msgspec.json.encode(event))

    def _post(self, body: bytes) -> None:
        connection = self._idle.get()
        try:
            connection.request("POST", self._address.target("publish"), body, self._headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise NotPublished(getattr(error, "strerror", None) or type(error).__name__) from None
        finally:
            self._idle.put(connection)
        if answer.status >= 300:
            raise NotPublished(_code(text) or f"HTTP status {answer.status}")


def _code(text: bytes) -> str | None:
    try:
        code = msgspec.json.decode(text)["error"]["code"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None
