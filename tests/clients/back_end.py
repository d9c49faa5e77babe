"""A user's back end that answers ``tidings serve``, or stalls, fails and lies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.browser.waiting import until
from tests.schemas import schema
from tidings.auth.webhook_signature import verify

CALL = schema("webhooks", "call")
SECRET = "a-secret-of-calls-0123456789abcdef"
Call = dict[str, Any]
Answer = Callable[[Call], bytes]
STALLED = b""  # no answer, until the caller goes away


def http(status: int, body: bytes, *, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def say(value: Any, status: int = 200) -> bytes:
    return http(status, json.dumps(value).encode())


def let_in(call: Call) -> bytes:
    user = call["credentials"]["token"].partition(".")[0]
    return say({"identity": {"user": user, "tenant": "t-1"}, "ttl_seconds": 0})


def allow_lists(call: Call) -> bytes:
    return say({"allowed": [topic for topic in call["topics"] if topic.startswith("gift-list:")]})


class BackEnd:
    """What it was asked, and what it answers, by type; each call's signature is checked."""

    def __init__(self) -> None:
        self.port = 0
        self.calls: list[Call] = []
        self.connections = 0
        self.answers: dict[str, Answer] = {}
        self.behave()

    def behave(self) -> None:
        self.answers = {
            "connect": let_in, "subscribe": allow_lists, "publish": allow_lists, "events": lambda _: http(204, b""),
        }  # fmt: skip

    def answer_all(self, answer: bytes) -> None:
        self.answers = dict.fromkeys(self.answers, lambda _: answer)

    def of(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call["type"] == kind]

    def events(self, session: str) -> list[tuple[str, str | None]]:
        found = [event for call in self.of("events") for event in call["events"] if event["session"] == session]
        return [(event["event"], event.get("topic")) for event in found]

    async def told(self, session: str, events: list[tuple[str, str | None]]) -> None:
        async def look() -> list[tuple[str, str | None]]:
            return self.events(session)

        await until(look, lambda seen: seen == events)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = await reader.readexactly(int(fields["Content-Length"]))
                assert head.startswith("POST /tidings HTTP/1.1"), head
                assert verify(SECRET, body, fields["Tidings-Signature"], time.time())
                call = json.loads(body)
                CALL.validate(call)
                self.calls.append(call)
                answer = self.answers[call["type"]](call)
                if answer == STALLED:
                    await reader.read()
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def back_end() -> AsyncIterator[BackEnd]:
    one = BackEnd()
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
