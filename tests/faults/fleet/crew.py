"""The processes that the fleet's clients live in."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.browser.processes import ROOT, python_path

HERE = Path(__file__).parent
ANSWER_SECONDS_MAX = 60  # of a process with hundreds of clients, on a machine that has others to run


@dataclass(frozen=True)
class Spec:
    """One client to start. ``transports`` is its ladder."""

    id: str
    transports: tuple[str, ...]
    topics: tuple[str, ...]
    token: str


@dataclass
class Progress:
    """How the clients stand."""

    ready: int = 0
    behind: int = 0
    transports: Counter[str] = field(default_factory=Counter)
    complaints: Counter[str] = field(default_factory=Counter)

    def add(self, other: dict[str, Any]) -> None:
        self.ready += other["ready"]
        self.behind += other["behind"]
        self.transports.update(other["transports"])
        self.complaints.update(other["complaints"])


class Crew:
    """One process and its clients."""

    def __init__(self, command: Sequence[str], specs: Sequence[Spec], url: str, folder: Path, name: str) -> None:
        self._command = command
        self._config = folder / f"{name}.json"
        self._errors = folder / f"{name}.err"
        self.log = folder / f"{name}.log"
        self.specs = specs
        clients = [asdict(spec) for spec in specs]
        self._config.write_text(json.dumps({"url": url, "log": str(self.log), "clients": clients}))
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    def typescript(cls, specs: Sequence[Spec], url: str, folder: Path, name: str = "typescript") -> Self:
        """Clients of the built npm package, on Node."""
        node = shutil.which("node")
        assert node is not None, "Node 20 is needed"
        return cls([node, str(HERE / "clients.mjs")], specs, url, folder, name)

    @classmethod
    def python(cls, specs: Sequence[Spec], url: str, folder: Path, name: str = "python") -> Self:
        """Clients of the Python package."""
        return cls([sys.executable, "-m", "tests.faults.fleet.clients"], specs, url, folder, name)

    async def start(self) -> None:
        with self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, str(self._config), cwd=ROOT, env={**os.environ, "PYTHONPATH": python_path()},
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    async def ask(self, ask: str, tops: dict[str, str]) -> dict[str, Any]:
        """Its answer. Raises AssertionError with what the process complained of, when it ended."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": ask, "tops": tops}).encode() + b"\n")
        line = await asyncio.wait_for(self._process.stdout.readline(), ANSWER_SECONDS_MAX)
        assert line, f"{self._command} ended:\n{self._errors.read_text()[-4000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """Write what is left of the log and end. Raises AssertionError when it did not end well."""
        await self.ask("stop", {})
        assert self._process is not None
        status = await asyncio.wait_for(self._process.wait(), ANSWER_SECONDS_MAX)
        assert status == 0, self._errors.read_text()[-4000:]

    async def kill(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def hurry(crews: Sequence[Crew]) -> None:
    """Who waits to dial dials now, as when a person asks for it."""
    await asyncio.gather(*(crew.ask("hurry", {}) for crew in crews))


async def progress_of(crews: Sequence[Crew], tops: dict[str, str]) -> Progress:
    """Of all crews together."""
    total = Progress()
    for answer in await asyncio.gather(*(crew.ask("progress", tops) for crew in crews)):
        total.add(answer)
    return total
