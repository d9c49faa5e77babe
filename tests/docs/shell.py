"""A page's commands, run one after the other in one place, with the servers that they start."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tests.docs.snippets import ROOT

PAGES_ADDRESS = "127.0.0.1:8000"  # what the pages write; the servers here take a free port
RUN_SECONDS_MAX = 30
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10
RETRY_SECONDS = 0.2
_END = ""  # no line is empty: each has its line break
_ADDRESS = re.compile(r"http://(127\.0\.0\.1:\d+)")


class Shell:
    """A folder and an environment of its own. Close it: its servers live until then.

    :param nudge: called with the server's address until a command that waits for events has printed a line.
    """

    def __init__(self, folder: Path, nudge: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self.address: str | None = None
        self._nudge = nudge
        self._started: list[Background] = []
        self._exports = folder / ".exports"
        self._exports.write_text("")
        commands = folder / ".bin"
        commands.mkdir()
        (commands / "tidings").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tidings.cli.main "$@"\n')
        (commands / "tidings").chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
        self._environment = kept | {
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONUNBUFFERED": "1",
            "TIDINGS_PORT": "0",
            "NO_COLOR": "1",
        }

    def run(self, command: str) -> str:
        """What the command prints. Raises AssertionError where it fails; servers go on when they are ready."""
        words = command.split()
        if words[:2] in (["tidings", "serve"], ["tidings", "run"]):
            return self._serve(command)
        if words[:2] == ["tidings", "tail"]:
            return self._follow(command)
        script = self._script(f"{command}\nexport -p > '{self._exports}'")
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self._environment,
            capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\nended with {done.returncode}: {done.stderr}"
        assert done.stderr == "", f"{command}\nsaid: {done.stderr}"
        return self._as_on_pages(done.stdout)

    def run_node(self, program_text: str) -> str:
        """What Node prints for a module."""
        (self.folder / "snippet.mjs").write_text(self._as_here(program_text))
        return self.run("node snippet.mjs")

    def run_python(self, program_text: str) -> str:
        """What Python prints for a program, which no warning may pass by."""
        (self.folder / "snippet.py").write_text(self._as_here(program_text))
        return self.run(f"{sys.executable} -W error snippet.py")

    def close(self) -> None:
        """End what was started."""
        for one in self._started:
            one.stop()

    def _serve(self, command: str) -> str:
        server = self._start(f"{command} --port 0" if command.startswith("tidings run") else command)
        line = server.line(START_SECONDS_MAX)
        found = _ADDRESS.search(line)
        assert found is not None, f"{command}\nsaid where it listens in no way that is known: {line}"
        self.address = found[1]
        return self._as_on_pages(line)

    def _follow(self, command: str) -> str:
        assert self.address is not None and self._nudge is not None, f"{command}\nhas no server that sends it something"
        follower = self._start(command)
        for _ in range(int(START_SECONDS_MAX / RETRY_SECONDS)):
            self._nudge(f"http://{self.address}")
            try:
                return self._as_on_pages(follower.line(RETRY_SECONDS))
            except TimeoutError:
                continue
        raise AssertionError(f"{command}\nprinted nothing; it said: {follower.said()}")

    def _start(self, command: str) -> Background:
        one = Background(["bash", "-c", self._script(f"exec {command}")], self.folder, self._environment)
        self._started.append(one)
        return one

    def _script(self, command: str) -> str:
        return f"set -euo pipefail\n. '{self._exports}'\n{self._as_here(command)}"

    def _as_here(self, text: str) -> str:
        return text if self.address is None else text.replace(PAGES_ADDRESS, self.address)

    def _as_on_pages(self, text: str) -> str:
        return text if self.address is None else text.replace(self.address, PAGES_ADDRESS)


class Background:
    """A process whose lines can be waited for."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._errors: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None and self._process.stderr is not None
        streams = ((self._process.stdout, self._lines), (self._process.stderr, self._errors))
        self._readers = [threading.Thread(target=_read_lines, args=pair) for pair in streams]
        for reader in self._readers:
            reader.start()

    def line(self, seconds_max: float) -> str:
        """The next line of standard output. Raises TimeoutError, or AssertionError where the process has ended."""
        try:
            line = self._lines.get(timeout=seconds_max)
        except queue.Empty:
            raise TimeoutError(f"no line within {seconds_max} s; it said: {self.said()}") from None
        if line == _END:
            self._readers[1].join()
            raise AssertionError(f"it ended with {self._process.wait(STOP_SECONDS_MAX)}: {self.said()}")
        return line

    def said(self) -> str:
        """Standard error so far."""
        return "".join(self._errors.queue)

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for reader in self._readers:
            reader.join()
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()


def post(url: str) -> None:
    """An empty POST. Raises URLError."""
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=RUN_SECONDS_MAX):
        pass


def _read_lines(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(_END)
