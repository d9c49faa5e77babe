"""Debian's nginx before a server, with its own defaults: timeouts, buffering, HTTP/1.0 behind it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

_ENSURE = Path(__file__).parents[1] / "tools" / "ensure_nginx"
START_SECONDS_MAX = 10
INSTALL_SECONDS_MAX = 110

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{behind};
            {options}
        }}
    }}
}}
"""


def nginx_program() -> str:
    """Where nginx is; installed where that is possible, else the test is skipped."""
    done = subprocess.run([_ENSURE], capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False)
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if done.returncode or program is None:
        pytest.skip(f"nginx cannot be had: {done.stderr.strip()[-200:]}")
    return program


@asynccontextmanager
async def behind_nginx(port: int, folder: Path, options: str = "") -> AsyncIterator[str]:
    """The address at which nginx stands before the server on this port.

    :param options: directives beside ``proxy_pass``; by default there are none.
    """
    program = nginx_program()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own_port: int = probe.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=own_port, behind=port, options=options))
    process = await asyncio.create_subprocess_exec(
        program, "-c", configuration, "-p", folder, "-e", folder / "error.log",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await accepts(own_port, process, folder)
        yield f"http://127.0.0.1:{own_port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def accepts(port: int, process: asyncio.subprocess.Process, folder: Path) -> None:
    """Return when nginx listens on the port. Raises AssertionError with its log where it has ended."""
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            assert process.returncode is None, (folder / "error.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return
