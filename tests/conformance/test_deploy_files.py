"""The files that ``docs/deployment.md`` hands out: taken as they are, and tried."""

from __future__ import annotations

import asyncio
import configparser
import json
import re
import socket
import subprocess
from pathlib import Path

import httpx
from starlette.applications import Starlette
from websockets.asyncio.client import connect

from tests.nginx import accepts, nginx_program
from tests.over_http import LIST, SECRET, bearer, token
from tests.servers import serving
from tests.streams import streaming
from tidings import Settings, Tidings
from tidings.cli.draining import CLOSED_SECONDS_MAX, REQUESTS_SECONDS_MAX
from tidings.engine.drain import LATE_SECONDS

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
PAGE = (DEPLOY.parents[1] / "docs" / "deployment.md").read_text("utf-8")

_AROUND = """
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
    include {folder}/site.conf;
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_nginx_passes_every_transport_on(tmp_path: Path) -> None:
    program, port = nginx_program(), free_port()
    live, app = Tidings(settings=Settings(secret=SECRET)), Starlette()
    live.mount(app)
    async with serving(app) as address:
        site = (DEPLOY / "nginx.conf").read_text()
        assert "127.0.0.1:8000" in site and "listen 80;" in site
        site = site.replace("127.0.0.1:8000", f"127.0.0.1:{address.port}").replace(
            "listen 80", f"listen 127.0.0.1:{port}"
        )
        (tmp_path / "site.conf").write_text(site)
        (tmp_path / "nginx.conf").write_text(_AROUND.format(folder=tmp_path))
        options = ["-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), "-e", str(tmp_path / "error.log")]
        checked = await asyncio.to_thread(
            subprocess.run, [program, "-t", *options], capture_output=True, text=True, timeout=10, check=False
        )
        assert checked.returncode == 0 and "warn" not in checked.stderr, checked.stderr
        process = await asyncio.create_subprocess_exec(program, *options, stderr=asyncio.subprocess.DEVNULL)
        try:
            await accepts(port, process, tmp_path)
            await try_all(f"127.0.0.1:{port}")
        finally:
            process.terminate()
            await process.wait()


async def try_all(place: str) -> None:
    """A page of this origin comes in by each transport."""
    origin = f"http://{place}"
    async with connect(f"ws://{place}/realtime/ws?token={token()}", origin=origin) as client:  # type: ignore[arg-type]
        assert json.loads(await client.recv())["type"] == "welcome"
    headers = {**bearer(), "Origin": origin}
    async with httpx.AsyncClient(base_url=f"{origin}/realtime", headers=headers, timeout=5) as http:
        async with streaming(http, f"/sse?topics={LIST}") as stream:
            assert (await stream.frame())["type"] == "subscribed"
        answer = await http.get(f"/poll?topics={LIST}")
        assert answer.status_code == 200, answer.text


def test_the_times_are_those_of_the_code() -> None:
    more = LATE_SECONDS + CLOSED_SECONDS_MAX + REQUESTS_SECONDS_MAX
    assert f"at most {more:g} seconds more" in PAGE
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "tidings.service")
    window = float(re.findall(r"TIDINGS_DRAIN_SECONDS=(\d+)", (DEPLOY / "tidings.service").read_text())[0])
    assert float(unit["Service"]["TimeoutStopSec"]) > window + more
    assert "tidings serve --workers" in unit["Service"]["ExecStart"]


def test_the_containers_settings_are_settings_and_it_has_time_to_drain() -> None:
    root = DEPLOY.parents[1]
    dockerfile, compose = (root / "Dockerfile").read_text(), (root / "compose.yaml").read_text()
    named = set(re.findall(r"TIDINGS_([A-Z_]+)", dockerfile + compose))
    assert named and {name.lower() for name in named} <= set(Settings.model_fields)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all((root / name).exists() for name in source.split()), source
    kept = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == {"pyproject.toml", "README.md", "LICENSE", "src"}, "what is copied is what is sent to the builder"
    for path in re.findall(r"^      - \./(\S+?):", compose, re.MULTILINE):
        assert (root / path).is_file(), path
    grace = re.search(r"stop_grace_period: (\d+)s", compose)
    assert grace is not None
    needed = Settings.model_fields["drain_seconds"].default + LATE_SECONDS + CLOSED_SECONDS_MAX + REQUESTS_SECONDS_MAX
    assert int(grace[1]) >= needed
