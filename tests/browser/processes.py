"""Server processes that are always ended, whatever the test does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.browser.waiting import until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 30
END_SECONDS_MAX = 10


def free_port() -> int:
    """A port that nothing listens on now, and that a server may have again after it was killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A command with its log in a file; ``kill`` is ``kill -9``."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._env = {**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1", **(env or {})}
        self.log = log
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                self._command, env=self._env, cwd=self.log.parent, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return None if self._running is None else self._running.poll()

    def kill(self) -> None:
        """Gone at once, without a word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Asked to end; killed if it does not."""
        self._end(signal.SIGTERM)

    def stand_still(self) -> None:
        """Nothing of it runs, until ``go_on``."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._running is not None, "it does not run"
        os.killpg(self._running.pid, number)

    def _end(self, number: signal.Signals) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        if running.poll() is None:
            os.killpg(running.pid, number)
        try:
            running.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


class Server(Process):
    """An ASGI application as ``tidings run`` serves it, on a port that it keeps over restarts."""

    def __init__(
        self, app: str, *, app_dir: Path, log: Path, env: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "tidings.cli.main", "run", app, "--app-dir", str(app_dir)]
        super().__init__([*command, "--port", str(self.port), "--log-level", "warning", *options], log=log, env=env)

    @property
    def complaints(self) -> str:
        """What it has logged: warnings and errors, of which there should be none."""
        return self.log.read_text() if self.log.exists() else ""

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self) -> None:
        """Start, and return when it answers. Raises AssertionError with its log if it does not."""
        self.start()
        try:
            await until(self._answers, bool, within_seconds=START_SECONDS_MAX)
        except AssertionError:
            raise AssertionError(f"the server did not start:\n{self.log.read_text()}") from None

    async def _answers(self) -> bool:
        if self.exit_status is not None:
            raise AssertionError(f"the server ended:\n{self.log.read_text()}")
        try:
            async with httpx.AsyncClient(timeout=2) as client:
                return (await client.get(f"{self.http}/readyz")).status_code == 200
        except httpx.TransportError:
            return False


def python_path() -> str:
    """The package as it stands in this tree, before any that is installed."""
    return os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
