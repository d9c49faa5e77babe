"""One HTTP request that has passed the door: who it is, and how it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from starlette.requests import Request

from tidings.ports import Credentials

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Visit:
    """A request with its credentials, and the headers that every answer to it carries (CORS).

    :ivar started: whether a status has gone out: from then on a fault cannot be told by one.
    """

    def __init__(self, request: Request, send: Send, credentials: Credentials, headers: Mapping[str, str]) -> None:
        self.request = request
        self.send = send
        self.credentials = credentials
        self.started = False
        self._headers = headers

    @property
    def client_address(self) -> str | None:
        """Where it comes from, as the server sees it."""
        return self.credentials.client_address

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the status and the headers; the body is ``send``'s."""
        self.started = True
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**self._headers, **headers}.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def answer(self, status: int, body: bytes) -> None:
        """Send a whole answer: JSON, which no cache keeps."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
        }
        await self.start(status, headers)
        await self.send({"type": "http.response.body", "body": body})

    async def left(self) -> None:
        """Return when the client has gone away, or has its answer."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
