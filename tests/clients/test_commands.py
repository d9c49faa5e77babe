"""The commands against each other: what ``token`` makes and ``publish`` sends, ``serve`` and ``run`` take."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from websockets.asyncio.client import connect

import tidings as package

APPLICATION = """
from fastapi import FastAPI
from tidings import Tidings

app = FastAPI()
live = Tidings(secret="0123456789abcdef0123456789abcdef")
live.mount(app)


@app.get("/")
async def home() -> dict[str, str]:
    return {"cursor": await live.publish("gift-list:1", "UPDATED", entity_id=1)}
"""


def tidings(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    return subprocess.run(
        [sys.executable, "-m", "tidings.cli.main", *arguments],
        env=kept | {"PYTHONPATH": str(Path(package.__file__).parents[1])},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


async def test_token_and_publish(server: Any) -> None:
    made = tidings("token", "--secret", server.secret, "--user", "u-7", "--subscribe", "gift-list:*", "--json")
    said = json.loads(made.stdout)
    assert said["expires_at"].endswith("Z")
    async with connect(f"{server.websocket_url}?token={said['token']}") as socket:
        assert json.loads(await socket.recv())["user"] == "u-7"
        await socket.send('{"type":"subscribe","topics":["gift-list:cli"]}')
        assert json.loads(await socket.recv())["type"] == "subscribed"
        place = ["--url", server.url, "--api-key", server.api_key]
        done = tidings("publish", "gift-list:cli", "ADDED", "g-1", '{"name":"Bike"}', "--user-id", "u-1", *place)
        assert done.returncode == 0, done.stderr
        event = json.loads(await socket.recv())
        assert event["cursor"] == done.stdout.strip()
        assert event["data"]["payload"] == {"name": "Bike"} and event["data"]["user_id"] == "u-1"
        root = server.url.removesuffix("/realtime")
        done = tidings(
            "publish", "gift-list:cli", "DELETED", "g-1", "--json", "--url", root, "--api-key", server.api_key
        )
        event = json.loads(await socket.recv())
        assert json.loads(done.stdout) == {"published": [{"topic": "gift-list:cli", "cursor": event["cursor"]}]}
        assert event["data"]["payload"] is None


@pytest.fixture
def something_else() -> Iterator[str]:
    """A web server that is none of ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        thread = Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{other.server_port}"
        other.shutdown()
        thread.join()


def test_publish_tells_what_the_server_refused(server: Any, something_else: str) -> None:
    done = tidings("publish", "nocolon", "ADDED", "g-1", "--url", server.url, "--api-key", server.api_key)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: bad_topic: ") and done.stderr.count("\n") == 1
    done = tidings("publish", "a:1", "ADDED", "g-1", "--url", server.url, "--api-key", "wrong", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "unauthorized"
    done = tidings("publish", "a:1", "ADDED", "g-1", "--url", f"{server.url}/else", "--api-key", "k")
    assert done.returncode == 1 and done.stderr.startswith(
        "error: bad_frame: There is nothing at /realtime/else/publish"
    )
    done = tidings("publish", "a:1", "ADDED", "g-1", "--url", f"{something_else}/x", "--api-key", "k")
    assert done.returncode == 1 and done.stderr == "error: HTTP status 501: is this the address of a Tidings server?\n"


async def test_run(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APPLICATION)
    with command("run", "main:app", "--port", "0", cwd=tmp_path) as process:
        url = process.wait_for(r"Open (http://127\.0\.0\.1:\d+)$")[1]
        assert (await asyncio.to_thread(get, url))["cursor"].endswith("-1")
        made = tidings("token", "--secret", "0123456789abcdef0123456789abcdef", "--user", "u-1").stdout.strip()
        socket_url = f"ws{url.removeprefix('http')}/realtime/ws?token={made}"
        async with connect(socket_url, compression="deflate") as socket:
            assert json.loads(await socket.recv())["type"] == "welcome"
            assert socket.response is not None
            assert "sec-websocket-extensions" not in socket.response.headers, "compression is on"
        said = "".join(process.errors)
        assert "?token=[redacted]" in said and made not in said, "uvicorn's own log holds the token"


def test_limits_off_lifts_rates_and_says_so(command: Callable[..., Any]) -> None:
    with command("serve", "--dev", "--port", "0", "--limits", "off") as process:
        process.wait_for("Ready on")
    assert "limits of rate and count are off" in "".join(process.errors)


def test_two_servers_on_one_port(server: Any) -> None:
    port = server.url.removesuffix("/realtime").rpartition(":")[2]
    done = tidings("serve", "--secret", server.secret, "--port", port)
    assert done.returncode == 2
    assert done.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
