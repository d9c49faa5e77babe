"""The application that the test pages talk to. It counts what it is asked, so that a test can say how often.

Run as ``tidings run tests.browser.apps.bench:app``; BENCH_PAGES is the folder of the bundled pages.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidings import Tidings

# Signs the tokens of the tests; it protects nothing.
SECRET = "the pages of the browser tests hold no secrets"
TOPIC_TYPES = ("gift-list", "view", "user")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title><link rel="icon" href="data:,"></head>
<body><div id="root"></div><script src="/pages/{name}.js"></script></body></html>
"""


class Ledger:
    """What came over WebSockets, and how often each path was fetched."""

    def __init__(self) -> None:
        self.accepted = 0
        self.frames: list[dict[str, Any]] = []
        self.fetched: Counter[str] = Counter()

    def note_frame(self, connection: int, text: str) -> None:
        frame = json.loads(text)
        self.frames.append({"connection": connection, "type": frame["type"], "topics": frame.get("topics", [])})


class Counting:
    """Around an ASGI application: every request and every frame is written down before it is served."""

    def __init__(self, inner: ASGIApp, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._ledger.fetched[f"{scope['method']} {scope['path']}"] += 1
        if scope["type"] != "websocket":
            await self._inner(scope, receive, send)
            return
        self._ledger.accepted += 1
        number = self._ledger.accepted

        async def noted() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("text") is not None:
                self._ledger.note_frame(number, message["text"])
            return message

        await self._inner(scope, noted, send)


ledger = Ledger()
live = Tidings(
    secret=SECRET,
    authorize={"gift-list:{list_id}": True, "view:{row}": True},
    topics=TOPIC_TYPES,
)
values: Counter[str] = Counter()
web = FastAPI()
live.mount(web)


@web.get("/pages/{file}")
async def page(file: str) -> Response:
    """A bundled script, or the page that loads it."""
    name, _, kind = file.partition(".")
    script = Path(os.environ["BENCH_PAGES"]) / f"{name}.js"
    if not script.is_file():
        raise HTTPException(404)
    if kind == "js":
        return FileResponse(script)
    return HTMLResponse(PAGE.format(name=name))


@web.get("/ledger")
async def read_ledger() -> dict[str, Any]:
    return {"accepted": ledger.accepted, "frames": ledger.frames, "fetched": ledger.fetched}


@web.get("/statistics")
async def statistics() -> dict[str, int]:
    return live.node.statistics()


@web.get("/values/{topic}")
async def read_value(topic: str, response: Response) -> dict[str, int]:
    """A resource with a topic, as any API has it: where the topic stands, then the data."""
    await live.cursor(topic, response=response)
    return {"value": values[topic]}


@web.post("/values/{topic}")
async def change_value(topic: str) -> dict[str, int]:
    values[topic] += 1
    await live.publish(topic, "UPDATED", entity_id="value", payload={"value": values[topic]})
    return {"value": values[topic]}


@web.post("/publish")
async def publish(request: Request) -> list[str]:
    """Events as the test writes them; their cursors, in order."""
    return [await live.publish(**event) for event in await request.json()]


app = Counting(web, ledger)
