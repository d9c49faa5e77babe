"""What the link over SSE makes of the answers to its own requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tidings.client.addresses import Address
from tidings.client.transports import sse
from tidings.client.transports.link import Dial

WELCOME = {"type": "welcome", "topic": "system", "session": "s-1"}


class Answer:
    """A response, of a stream that goes on, or of a refusal."""

    def __init__(self, status: int, text: str, *, ends: bool) -> None:
        self.status = status
        self.headers = {"content-type": "text/event-stream"}
        self._parts = [text.encode(), *([b""] if ends else [])]

    async def read(self) -> bytes:
        if not self._parts:
            await asyncio.Event().wait()
        return self._parts.pop(0)

    async def body(self, bytes_max: int) -> bytes:
        return await self.read()


def answering(status: int) -> type:
    class Http:
        def __init__(self, address: Address) -> None:
            pass

        @asynccontextmanager
        async def post(
            self, name: str, body: Mapping[str, Any], token: str | None, *, query: str = ""
        ) -> AsyncIterator[Answer]:
            if name == "sse":
                yield Answer(200, f"data: {json.dumps(WELCOME)}\n\n", ends=False)
            else:
                yield Answer(status, json.dumps({"error": {"code": "x", "message": "No."}}), ends=True)

        async def close(self) -> None:
            pass

    return Http


@pytest.mark.parametrize(("status", "code"), [(401, 4401), (429, 4429), (502, None)])
async def test_a_probe_that_is_refused_is_no_sign_of_life(
    status: int, code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HttpClient", answering(status))
    inputs: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def room() -> None:
        pass

    dial = Dial(Address("localhost", None, False), 1, None, {"topics": []}, inputs.put_nowait, room, lambda _: None)
    link = sse.SseLink(dial)
    async with asyncio.timeout(5):
        assert (await inputs.get())["frame"] == WELCOME
        link.send({"type": "ping"})
        assert await inputs.get() == {"input": "lost", "code": code, "generation": 1}
        assert link.cause == "No."
        await link.drop(1000)
