"""``tidings serve`` in a process of its own, that can be killed, frozen, drained, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.browser.processes import free_port, python_path
from tidings.auth import mint_token

SECRET = "a secret of more than forty-eight bytes, enough for HS384"
API_KEY = "key-of-the-fault-suite"
START_SECONDS_MAX = 60
LOOK_EVERY_SECONDS = 0.02
TOKEN_SECONDS = 3_600


def token(user: str, **claims: Any) -> str:
    """A token for a user who may see gift lists, unless said otherwise."""
    said: dict[str, Any] = {
        "subscribe": ["gift-list:*"],
        "publish": ["gift-list:*"],
        "ttl_seconds": TOKEN_SECONDS,
    } | claims
    return mint_token(SECRET, user=user, now=datetime.now(UTC), **said)


class Server:
    """One server process at a time; its port stays over restarts.

    :ivar log: what every process wrote.
    """

    def __init__(self, folder: Path, *, broker: str = "memory", options: tuple[str, ...] = (), **settings: str) -> None:
        """Nothing is started yet.

        :param settings: of the environment, without their prefix, such as ``drain_seconds="3"``.
        """
        self.folder = folder
        self.log = folder / "server.log"
        self.port = free_port()
        self._options = ("--broker", broker, "--log-level", "warning", *options)
        self._settings = {f"TIDINGS_{name.upper()}": value for name, value in settings.items()}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, *, port: int | None = None) -> None:
        """Start, and return when it answers. Raises AssertionError with its log if it does not.

        :param port: another one from now on; the process that runs is left to its caller (``take``).
        """
        self.port = port or self.port
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
        command = [sys.executable, "-m", "tidings.cli.main", "serve", "--port", str(self.port), *self._options]
        keys = {"PYTHONPATH": python_path(), "TIDINGS_SECRET": SECRET, "TIDINGS_API_KEYS": API_KEY}
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command, env=kept | keys | self._settings, cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS_MAX
        while not await self._answers():
            assert self._process.returncode is None, f"the server ended:\n{self.complaints}"
            assert time.monotonic() < deadline, f"the server did not start:\n{self.complaints}"
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    @property
    def complaints(self) -> str:
        """What it has logged."""
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """Gone at once, without a word to anybody."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def drained(self, *, within_seconds: float) -> float:
        """Ask the process to end, and wait until it has; how many seconds it took. Raises TimeoutError."""
        return await drain(self.take(), within_seconds=within_seconds)

    def take(self) -> asyncio.subprocess.Process:
        """The process; whoever takes it ends it."""
        taken, self._process = self._process, None
        assert taken is not None
        return taken

    async def _answers(self) -> bool:
        try:
            async with httpx.AsyncClient(timeout=2) as client:
                return (await client.get(f"{self.http}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def publish(self, topic: str, entity_id: str, **more: Any) -> str:
        """Publish one event over HTTP; its cursor. Raises AssertionError where it is refused."""
        event = {"topic": topic, "event": "UPDATED", "data": {"entity_id": entity_id, "payload": {}}, **more}
        async with httpx.AsyncClient(base_url=self.http, timeout=10) as client:
            answer = await client.post("/realtime/publish", json=event, headers={"Authorization": f"Bearer {API_KEY}"})
        assert answer.status_code == 200, answer.text
        cursor: str = answer.json()["published"][0]["cursor"]
        return cursor


async def drain(process: asyncio.subprocess.Process, *, within_seconds: float) -> float:
    """Ask a process to end, and wait until it has; how many seconds it took. Raises TimeoutError."""
    begin = time.monotonic()
    try:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), within_seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return time.monotonic() - begin


@asynccontextmanager
async def server(folder: Path, **options: Any) -> AsyncIterator[Server]:
    """A started server, always ended."""
    one = Server(folder, **options)
    try:
        await one.start()
        yield one
    finally:
        with contextlib.suppress(ProcessLookupError):
            await one.kill()
