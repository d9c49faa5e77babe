"""What the benchmark needs and the repository does not hold: built or installed once, under ``bench/build``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"
PEERS = HERE / "peers"
LOAD = BUILD / "load"
LIMIT = BUILD / "limit"
PYTHON = BUILD / "python" / "bin" / "python"  # with the peers' packages
NODE_MODULES = BUILD / "node" / "node_modules"
CENTRIFUGE = BUILD / "centrifuge"
_C_FLAGS = ["-O2", "-Wall", "-Wextra", "-Wno-unused-result"]
_LOAD_FILES = ["main.c", "plan.c", "wire.c", "script.c", "ledger.c", "drive.c"]


class Unavailable(Exception):
    """A peer cannot be had on this machine; the message says why, in a line."""


def load() -> None:
    """Compile the load generator and the limit. Raises Unavailable without a C compiler."""
    sources = [HERE / "load" / name for name in _LOAD_FILES]
    _made(LOAD, [*sources, HERE / "load" / "load.h"], lambda: _compile(LOAD, sources))
    limit = HERE / "load" / "limit.c"
    _made(LIMIT, [limit], lambda: _compile(LIMIT, [limit]))


def python() -> None:
    """A virtual environment with the peers in Python. Raises Unavailable where it cannot be made."""

    def make() -> None:
        _run([sys.executable, "-m", "venv", "--clear", str(BUILD / "python")])
        _run([str(PYTHON), "-m", "pip", "install", "--quiet", "--requirement", str(PEERS / "requirements.txt")])

    _made(BUILD / "python" / "made", [PEERS / "requirements.txt"], make)


def node() -> None:
    """The peers on Node. Raises Unavailable without npm."""

    def make() -> None:
        _need("npm")
        where = BUILD / "node"
        where.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PEERS / name, where / name)
        _run(["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], where)

    _made(BUILD / "node" / "made", [PEERS / "package.json", PEERS / "package-lock.json"], make)


def centrifuge() -> None:
    """The peer in Go. Raises Unavailable without Go."""

    def make() -> None:
        _need("go")
        _run(["go", "build", "-o", str(CENTRIFUGE), "."], PEERS / "centrifuge")

    folder = PEERS / "centrifuge"
    _made(CENTRIFUGE, [folder / "main.go", folder / "go.mod"], make)


def _made(target: Path, sources: Sequence[Path], make: Callable[[], None]) -> None:
    """Make it where it is older than what it is made of."""
    if target.exists() and all(target.stat().st_mtime >= source.stat().st_mtime for source in sources):
        return
    BUILD.mkdir(exist_ok=True)
    make()
    target.touch()


def _compile(target: Path, sources: Sequence[Path]) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Unavailable("there is no C compiler; on Debian: apt-get install gcc libc6-dev")
    _run([compiler, *_C_FLAGS, "-o", str(target), *map(str, sources)])


def _need(command: str) -> None:
    if shutil.which(command) is None:
        raise Unavailable(f"{command} is not installed")


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"{Path(command[0]).name} {command[1]}: {last[:200]}")
