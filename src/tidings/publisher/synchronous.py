"""The publisher for synchronous code, on the standard library's HTTP."""

from __future__ import annotations

import os
import random
import ssl
import threading
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any

from tidings.client.addresses import Address, parse_address
from tidings.core.errors import UsageError
from tidings.core.events import Outgoing
from tidings.drafting import outgoing
from tidings.publisher import requests
from tidings.publisher.faults import Unreachable
from tidings.publisher.requests import Again, Request

ATTEMPT_SECONDS = 5.0
IDLE_MAX = 8  # connections that are kept for the next call


def checked_address(url: str, key: str) -> Address:
    """Where the server is. Raises UsageError for no address, or no key."""
    if not key or not key.isascii() or not key.isprintable():
        raise UsageError("a publisher needs an API key of the server: printable ASCII, as in --api-key")
    try:
        return parse_address(url)
    except ValueError as error:
        raise UsageError(str(error)) from None


class Publisher:
    """Publishes over HTTP, and repeats what got no answer until ``timeout_seconds`` have passed.

    One object serves the whole process, its threads and what it forks; connections are kept for the next call.
    Calls block.

    :param url: of the server, such as ``https://live.example.com``; with the prefix where that is not ``/realtime``.
    :param key: one of the server's API keys.
    :param timeout_seconds: for a call in all, however often it is tried.
    """

    def __init__(self, url: str, key: str, *, timeout_seconds: float = 10.0) -> None:
        self._address = checked_address(url, key)
        self._key = key
        self._timeout_seconds = timeout_seconds
        self._idle: list[HTTPConnection] = []  # the last that was used is the next: the others may close
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._context: ssl.SSLContext | None = None

    def publish(self, topic: str, event: str, *, entity_id: object, payload: Any = None, **options: Any) -> str:
        """Tell every subscriber of the topic, and answer the event's cursor.

        :param options: ``user_id``, ``tenant``, ``timestamp``, ``trace_id``, ``version``, ``exclude`` and
            ``idempotency_key``, as :meth:`tidings.Tidings.publish` takes them.

        Raises PublishError for an event that is none, Refused, and Unreachable.
        """
        return self.publish_many([outgoing(topic, event, entity_id=entity_id, payload=payload, **options)])[0]

    def publish_many(self, events: Iterable[Outgoing]) -> list[str]:
        """Publish several in their order, up to 500 in a request; their cursors.

        :param events: made by :func:`tidings.outgoing`; all are checked before the first is sent.

        Of each request all or nothing is published. Raises as ``publish``.
        """
        return [cursor for request in requests.publishing(events) for cursor in requests.published(self._ask(request))]

    def cursors(self, *topics: str, tenant: str | None = None) -> dict[str, str]:
        """Where topics stand: read it before your query's transaction begins (promise 2)."""
        found: dict[str, str] = self._ask(requests.cursors(topics, tenant))["cursors"]
        return found

    def cursor_header(self, *topics: str, tenant: str | None = None) -> str:
        """The value of the header ``Tidings-Cursor`` for a response that shows these topics."""
        return ", ".join(f"{topic}={cursor}" for topic, cursor in self.cursors(*topics, tenant=tenant).items())

    def token(
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
        return str(self._ask(requests.token(claims))["token"])

    def disconnect(self, user: str | None = None, *, tenant: str | None = None, session: str | None = None) -> int:
        """End a user's connections, as at a log-out, or one session's; how many the server that answered had."""
        whom = {"user": user, "tenant": tenant, "session": session}
        return int(self._ask(requests.disconnect(whom))["disconnected"])

    def close(self) -> None:
        """Close what is kept open; a later call opens anew."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: Request) -> Any:
        deadline = time.monotonic() + self._timeout_seconds
        attempt = 0
        while True:
            again = self._attempt(request, deadline)
            if not isinstance(again, Again):
                return again
            pause = requests.pause_seconds(attempt, random.random(), again.seconds)
            if time.monotonic() + pause >= deadline:
                raise Unreachable(again.why, request.idempotency_keys)
            time.sleep(pause)
            attempt += 1

    def _attempt(self, request: Request, deadline: float) -> Any | Again:
        """One try; another at once where a kept connection turned out to be closed."""
        headers = {"Authorization": f"Bearer {self._key}", "User-Agent": "tidings"}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        while True:
            connection, kept = self._take(min(ATTEMPT_SECONDS, max(0.1, deadline - time.monotonic())))
            try:
                target = self._address.target(request.name, request.query)
                connection.request(request.method, target, request.body, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, HTTPException) as error:
                connection.close()
                if not kept or isinstance(error, TimeoutError):
                    return Again(f"{type(error).__name__} {error}".strip(), None)
                continue
            self._give_back(connection)
            return requests.read(response.status, response.headers.get("Retry-After"), answer)

    def _take(self, timeout_seconds: float) -> tuple[HTTPConnection, bool]:
        """A connection, and whether it has been used before."""
        with self._lock:
            if self._process != os.getpid():  # a fork must not speak on its parent's
                self._process, self._idle = os.getpid(), []
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            connection.timeout = timeout_seconds
            if connection.sock is not None:
                connection.sock.settimeout(timeout_seconds)
            return connection, True
        address = self._address
        if not address.secure:
            return HTTPConnection(address.host, address.port_number, timeout=timeout_seconds), False
        self._context = self._context or ssl.create_default_context()
        return HTTPSConnection(address.host, address.port_number, timeout=timeout_seconds, context=self._context), False

    def _give_back(self, connection: HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX and connection.sock is not None:
                self._idle.append(connection)
                return
        connection.close()
