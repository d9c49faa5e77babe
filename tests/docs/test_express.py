"""The application of docs/express.md, run by Node beside the page's own ``tidings serve``."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.processes import free_port
from tests.browser.waiting import until
from tests.docs.scripts import link_packages
from tests.docs.shell import Shell
from tests.docs.snippets import ROOT, Kind, conversation, snippets_of

PAGE = "docs/express.md"


@pytest.fixture
def application(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of both, started with the page's own variables."""
    snippets = snippets_of(PAGE, (ROOT / PAGE).read_text("utf-8"))
    app = next(one for one in snippets if one.name == "app.js")
    start = next(one for one in snippets if one.kind is Kind.COMMANDS and "tidings serve" in one.text)
    link_packages(tmp_path)
    (tmp_path / "app.mjs").write_text(app.text)
    port = str(free_port())
    shell = Shell(tmp_path)
    variables = {}
    try:
        for command, _ in conversation(start.text):
            command = command.replace(":3000/", f":{port}/")
            shell.run(command)
            if command.startswith("export "):
                name, _, value = command.split()[1].partition("=")
                variables[name] = value
        env = {**os.environ, **variables, "PORT": port, "TIDINGS_URL": f"http://{shell.address}"}
        node = subprocess.Popen(["node", "app.mjs"], cwd=tmp_path, env=env)
        try:
            yield f"http://127.0.0.1:{port}", f"http://{shell.address}"
        finally:
            node.terminate()
            node.wait(10)
    finally:
        shell.close()


async def test_a_change_arrives_where_the_rule_allows_it(application: tuple[str, str]) -> None:
    site, tidings = application
    async with httpx.AsyncClient(timeout=10) as client:

        async def token() -> str | None:
            try:
                return str((await client.post(f"{site}/api/token")).json())
            except httpx.TransportError:
                return None

        headers = {"Authorization": f"Bearer {await until(token, bool)}"}
        read = await client.get(f"{site}/api/lists/1")
        topic, _, cursor = read.headers["Tidings-Cursor"].partition("=")
        assert (read.json(), topic) == (["A kite"], "gift-list:1")
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        made = await client.post(
            f"{site}/api/lists/1/gifts",
            json={"name": "Robot"},
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        )
        assert made.status_code == 201
        asked = {"topics": ["gift-list:1", "gift-list:2"], "since": {"gift-list:1": cursor}}
        frames = (await client.post(f"{tidings}/realtime/poll", json=asked, headers=headers)).json()["frames"]
    forbidden, subscribed, event = frames
    assert (forbidden["topic"], forbidden["code"]) == ("gift-list:2", "forbidden")
    assert subscribed["topics"]["gift-list:1"]["recovered"]
    assert (event["event"], event["data"]["payload"], event["trace_id"]) == ("ADDED", {"name": "Robot"}, trace)
