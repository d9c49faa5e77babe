"""The bench as a test sees it: pages by name, events to publish, and what the server has counted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from tests.browser.apps.bench import SECRET
from tests.browser.processes import ROOT, Server
from tests.browser.waiting import until

TOKEN_SECONDS = 3_600
# What a server has when nobody is there. `repairs` counts work done and need not go back.
NOTHING = {"sockets": 0, "connections": 0, "users": 0, "topics": 0, "subscriptions_live": 0, "subscriptions_holding": 0}


def token_of(user: str) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + TOKEN_SECONDS}, SECRET, algorithm="HS256")


def bench_process(pages: Path, folder: Path, **settings: str) -> Server:
    """A bench that serves these pages, not started yet, its log in the folder; settings are environment variables."""
    env = {"BENCH_PAGES": str(pages), **settings}
    # The fast transport takes WebSockets before the application sees them, which counts their frames.
    options = ["--websocket", "asgi"]
    return Server("tests.browser.apps.bench:app", app_dir=ROOT, log=folder / "bench.log", env=env, options=options)


@dataclass(frozen=True)
class Ledger:
    """What the server was asked since a moment."""

    accepted: int
    frames: list[dict[str, Any]]
    fetched: dict[str, int]

    def topics(self, kind: str) -> list[list[str]]:
        """The topics of each frame of that type, one list a frame."""
        return [frame["topics"] for frame in self.frames if frame["type"] == kind]


class Bench:
    """One running bench, and how far its ledger was when the test began."""

    def __init__(self, http: str, client: httpx.AsyncClient) -> None:
        self.http = http
        self._client = client
        self._start = Ledger(0, [], {})

    async def begin(self) -> None:
        """What was counted before is none of this test's business."""
        self._start = Ledger(0, [], {})
        self._start = await self.ledger()

    def page(self, name: str, *, user: str = "ana", **query: object) -> str:
        return f"{self.http}/pages/{name}.html?{urlencode({'token': token_of(user), **query})}"

    async def publish(self, *events: dict[str, Any]) -> list[str]:
        """Publish in order; the cursors."""
        cursors: list[str] = await self._json("POST", "/publish", json=list(events))
        return cursors

    async def publish_one(self, topic: str, event: str = "UPDATED", payload: object = None) -> str:
        (cursor,) = await self.publish({"topic": topic, "event": event, "entity_id": "gift-7", "payload": payload})
        return cursor

    async def change_value(self, topic: str) -> int:
        value: int = (await self._json("POST", f"/values/{topic}"))["value"]
        return value

    async def ledger(self) -> Ledger:
        """What was counted since ``begin``."""
        now = await self._json("GET", "/ledger")
        start = self._start
        fetched = {path: count - start.fetched.get(path, 0) for path, count in now["fetched"].items()}
        return Ledger(now["accepted"] - start.accepted, now["frames"][len(start.frames) :], fetched)

    async def statistics(self) -> dict[str, int]:
        counted: dict[str, int] = await self._json("GET", "/statistics")
        return counted

    async def is_empty(self, *, within_seconds: float = 10) -> None:
        """Nothing of what was open is left on the server."""
        await until(self.statistics, lambda now: NOTHING.items() <= now.items(), within_seconds=within_seconds)

    async def _json(self, method: str, path: str, **given: Any) -> Any:
        answer = await self._client.request(method, self.http + path, **given)
        answer.raise_for_status()
        return answer.json()
