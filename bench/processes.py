"""The two processes of a measurement, each on a core of its own: a server, and the load that drives it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import build
from bench.peers.catalog import ROOT, Peer

SERVER_CORE = 0
LOAD_CORE = 1
START_SECONDS_MAX = 30.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """A measurement did not come about; the message says why."""


class Server:
    """One peer, started anew."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self._peer = peer
        self._folder = folder
        self.port = _free_port()
        self._process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Kill it and start it on the same port."""
        self.kill()
        self._process = self._start()

    def cpu_seconds(self) -> float:
        """What it has used so far, in user and system time, all its threads together."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def own_bytes(self) -> int:
        """The memory that is its alone."""
        lines = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))

    def _start(self) -> subprocess.Popen[bytes]:
        command = [*pinned(SERVER_CORE), *self._peer.command(self.port, self._folder)]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"} | self._peer.environment
        with (self._folder / "server.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return process
        process.kill()
        process.wait()
        said = (self._folder / "server.log").read_text(errors="replace").strip().splitlines()
        raise Failed(f"{self._peer.name} did not start: {said[-1][:200] if said else 'it said nothing'}")


class Load:
    """The generator, which takes lines and answers commands."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*pinned(LOAD_CORE), str(build.LOAD)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        for line in lines:
            self._say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, command: str) -> dict[str, Any]:
        """Give a command and wait for its answer. Raises Failed where the generator gave up."""
        self._say(command)
        assert self._process.stdout is not None and self._process.stderr is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise Failed(f"{command}: {self._process.stderr.read().strip() or 'the load ended'}")
        value: dict[str, Any] = json.loads(answer)
        return value

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            assert self._process.stderr is not None
            raise Failed(f"{line}: {self._process.stderr.read().strip()}") from None


def pinned(core: int) -> list[str]:
    """What to put before a command to keep it on one core; nothing where that cannot be."""
    if shutil.which("taskset") is None or core not in os.sched_getaffinity(0):
        return []
    return ["taskset", "--cpu-list", str(core)]


def kernel_bytes() -> int:
    """What the kernel holds for all sockets and files of the machine: its slabs, and the bytes that sockets hold."""
    slabs = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Slab:"))
    held = 0
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        words = line.split()
        if words[0] == "TCP:":
            held = int(words[words.index("mem") + 1]) * _PAGE_BYTES
    return int(slabs.split()[1]) * 1024 + held


def disk_sync_us(folder: Path) -> float:
    """How long the disk takes to keep 4 KB: the median of fifty."""
    taken: list[float] = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1e6)
    path.unlink()
    return statistics.median(taken)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
