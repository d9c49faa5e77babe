"""The worker processes of a master, and which of them holds how many connections, as the kernel sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

_ESTABLISHED, _LISTENING = "01", "0A"
DEADLINE_SECONDS = 30


def workers_of(master: int, port: int) -> list[int]:
    """The children that listen on the port."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [int(pid) for pid in children if _sockets(int(pid)) & _inodes(port, _LISTENING)]


def connections_of(worker: int, port: int) -> int:
    """How many connections to the port this worker holds."""
    return len(_sockets(worker) & _inodes(port, _ESTABLISHED))


def alive(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], object], what: str) -> None:
    """Return when it is so. Raises AssertionError after the deadline."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {DEADLINE_SECONDS} s") from None


def _inodes(port: int, state: str) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == state and int(row[1].rpartition(":")[2], 16) == port}


def _sockets(pid: int) -> set[str]:
    found: set[str] = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            if name.startswith("socket:["):
                found.add(name[8:-1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass  # it has ended
    return found
