"""A throw-away PostgreSQL for tests: its own data, its own socket, gone at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """The server's address as ``HOST:PORT``; its superuser is ``postgres``, without a password, on loopback only.

    PostgreSQL refuses to run as root, so root hands it to the user that its package makes.
    """
    binaries = _binaries()
    as_user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    if as_user:
        shutil.chown(folder, user=as_user[-1])
    port = _free_port()
    data = folder / "data"
    _run(as_user, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    _run(as_user, binaries / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"127.0.0.1:{port}"
    finally:
        _run(as_user, binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise RuntimeError("PostgreSQL's server is not installed: run tools/ensure_postgresql")
    return found[-1].parent


def _unprivileged() -> list[str]:
    if os.getuid() != 0:
        return []
    return ["runuser", "-u", pwd.getpwnam("postgres").pw_name]


def _run(as_user: list[str], *command: str | Path) -> None:
    with tempfile.TemporaryFile() as output:  # not a pipe: the server would hold it open
        prefix = [*as_user, "--"] if as_user else []
        done = subprocess.run([*prefix, *map(str, command)], stdout=output, stderr=output, cwd="/", check=False)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[0]} failed: {output.read().decode(errors='replace')[-1000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
