"""The publisher for asynchronous code: the same calls, awaited."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from tidings.client.transports.http import HTTP_FAULTS, HttpClient
from tidings.core.events import Outgoing
from tidings.drafting import outgoing
from tidings.publisher import requests
from tidings.publisher.faults import Unreachable
from tidings.publisher.requests import Again, Request
from tidings.publisher.synchronous import ATTEMPT_SECONDS, checked_address

_ANSWER_BYTES_MAX = 1024 * 1024


class AsyncPublisher:
    """As :class:`tidings.publisher.Publisher`, for one event loop. Parameters and errors are the same."""

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 10.0) -> None:
        self._http = HttpClient(checked_address(url, key))
        self._key = key
        self._timeout_seconds = timeout_seconds

    async def publish(self, topic: str, event: str, *, entity_id: object, payload: Any = None, **options: Any) -> str:
        """Tell every subscriber of the topic, and answer the event's cursor."""
        return (await self.publish_many([outgoing(topic, event, entity_id=entity_id, payload=payload, **options)]))[0]

    async def publish_many(self, events: Iterable[Outgoing]) -> list[str]:
        """Publish several in their order, up to 500 in a request; their cursors."""
        cursors: list[str] = []
        for request in requests.publishing(events):
            cursors += requests.published(await self._ask(request))
        return cursors

    async def cursors(self, *topics: str, tenant: str | None = None) -> dict[str, str]:
        """Where topics stand: read it before your query's transaction begins (promise 2)."""
        found: dict[str, str] = (await self._ask(requests.cursors(topics, tenant)))["cursors"]
        return found

    async def cursor_header(self, *topics: str, tenant: str | None = None) -> str:
        """The value of the header ``Tidings-Cursor`` for a response that shows these topics."""
        found = await self.cursors(*topics, tenant=tenant)
        return ", ".join(f"{topic}={cursor}" for topic, cursor in found.items())

    async def token(
        self,
        user: str,
        *,
        tenant: str | None = None,
        subscribe: Iterable[str] | None = None,
        publish: Iterable[str] | None = None,
        ttl_seconds: int | None = None,
    ) -> str:
        """A token for the page of a user who is signed in with you."""
        claims = {
            "user": user, "tenant": tenant, "ttl_seconds": ttl_seconds,
            "subscribe": None if subscribe is None else list(subscribe),
            "publish": None if publish is None else list(publish),
        }  # fmt: skip
        return str((await self._ask(requests.token(claims)))["token"])

    async def disconnect(
        self, user: str | None = None, *, tenant: str | None = None, session: str | None = None
    ) -> int:
        """End a user's connections, as at a log-out, or one session's; how many the server that answered had."""
        whom = {"user": user, "tenant": tenant, "session": session}
        return int((await self._ask(requests.disconnect(whom)))["disconnected"])

    async def close(self) -> None:
        """Close what is kept open; the next call opens another."""
        await self._http.close()

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, request: Request) -> Any:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timeout_seconds
        attempt = 0
        while True:
            again = await self._attempt(request, min(ATTEMPT_SECONDS, max(0.1, deadline - clock())))
            if not isinstance(again, Again):
                return again
            pause = requests.pause_seconds(attempt, random.random(), again.seconds)
            if clock() + pause >= deadline:
                raise Unreachable(again.why, request.idempotency_keys)
            await asyncio.sleep(pause)
            attempt += 1

    async def _attempt(self, request: Request, seconds: float) -> Any | Again:
        body = request.body or b""
        try:
            async with (
                asyncio.timeout(seconds),
                self._http.request(request.method, request.name, body, self._key, query=request.query) as response,
            ):
                answer = await response.body(_ANSWER_BYTES_MAX)
                return requests.read(response.status, response.headers.get("retry-after"), answer)
        except (*HTTP_FAULTS, TimeoutError) as error:
            return Again(f"{type(error).__name__} {error}".strip(), None)
