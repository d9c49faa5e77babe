"""A real ``tidings serve`` in a process of its own, for clients that we did not write."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tidings
from tidings.auth import mint_token

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15
SOURCE = Path(tidings.__file__).parents[1]


@dataclass
class Process:
    """A started command, whose output lines can be waited for."""

    command: subprocess.Popen[str]
    lines: queue.Queue[str | None] = field(default_factory=queue.Queue)
    errors: list[str] = field(default_factory=list)
    _erred: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first line of standard output that matches. Raises AssertionError after the deadline."""
        while True:
            try:
                line = self.lines.get(timeout=START_SECONDS_MAX)
            except queue.Empty:
                line = None
            assert line is not None, f"no line {pattern!r}; standard error: {''.join(self.errors)}"
            found = re.search(pattern, line)
            if found is not None:
                return found

    def wait_for_error(self, pattern: str) -> None:
        """Return when a line of standard error matches. Raises AssertionError after the deadline."""
        with self._erred:
            found = self._erred.wait_for(
                lambda: any(re.search(pattern, line) for line in self.errors), START_SECONDS_MAX
            )
        assert found, f"no line {pattern!r} on standard error: {''.join(self.errors)}"

    def read_lines(self) -> None:
        """Keep standard output's lines until it ends."""
        assert self.command.stdout is not None
        for line in self.command.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def read_errors(self) -> None:
        """Keep standard error's lines until it ends."""
        assert self.command.stderr is not None
        for line in self.command.stderr:
            with self._erred:
                self.errors.append(line)
                self._erred.notify_all()


@contextmanager
def started(*arguments: str, cwd: Path | None = None, **environment: str) -> Iterator[Process]:
    """``tidings …``, which is always stopped."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    command = subprocess.Popen(
        [sys.executable, "-m", "tidings.cli.main", *arguments],
        env=kept | {"PYTHONPATH": str(SOURCE)} | environment,
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process = Process(command)
    assert command.stdout is not None and command.stderr is not None

    readers = [threading.Thread(target=process.read_lines), threading.Thread(target=process.read_errors)]
    for reader in readers:
        reader.start()
    try:
        yield process
    finally:
        command.send_signal(signal.SIGTERM)
        try:
            command.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
        for reader in readers:
            reader.join()
        command.stdout.close()
        command.stderr.close()


@dataclass(frozen=True)
class Server:
    """Where a started server is, and how to talk to it from outside."""

    process: Process
    url: str
    websocket_url: str
    secret: str
    api_key: str

    def token(self, **claims: Any) -> str:
        """A token for u-1 that may see gift lists, unless said otherwise."""
        said = {"user": "u-1", "subscribe": ["gift-list:*"], "publish": ["gift-list:*"]} | claims
        return mint_token(self.secret, now=datetime.now(UTC), **said)

    def publish(self, topic: str, number: int) -> str:
        """Publish one event over HTTP; its cursor."""
        event = {"topic": topic, "event": "UPDATED", "data": {"entity_id": f"g-{number}", "payload": {"n": number}}}
        request = urllib.request.Request(
            f"{self.url}/publish", json.dumps(event).encode(),
            {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=10) as answer:
            published = json.load(answer)["published"]
        cursor: str = published[0]["cursor"]
        return cursor


@contextmanager
def serving() -> Iterator[Server]:
    """``tidings serve`` on a free port."""
    secret, api_key = "0123456789abcdef0123456789abcdef", "test-key-of-the-clients"
    with started("serve", "--port", "0", "--secret", secret, "--api-key", api_key, "--access-log") as process:
        found = process.wait_for(r"Ready on (\S+) \(WebSocket: (\S+)\)")
        yield Server(process, found[1], found[2], secret, api_key)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all clients; each test has topics of its own."""
    with serving() as one:
        yield one


@pytest.fixture
def serve() -> Callable[[], Any]:
    """To start one of one's own: ``with serve() as server``."""
    return serving


@pytest.fixture
def command() -> Callable[..., Any]:
    """To start any command: ``with command("run", "main:app") as process``."""
    return started
