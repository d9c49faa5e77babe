"""Node against ``tidings serve``: the package ``ws``, and Node's own WebSocket."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("conversation.mjs")
CONVERSATION_SECONDS_MAX = 30


@pytest.mark.parametrize("kind", ["ws", "native"])
def test_the_conversation(kind: str, server: Any) -> None:
    node = shutil.which("node")
    assert node is not None, "Node 20 is needed"
    flags = ["--experimental-websocket"] if kind == "native" else []
    topic = f"gift-list:node-{kind}"
    done = subprocess.run(
        [node, *flags, str(SCRIPT), kind, server.websocket_url, server.token(), server.url, server.api_key, topic],
        capture_output=True, text=True, timeout=CONVERSATION_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["welcome"]["type"], said["welcome"]["user"]) == ("welcome", "u-1")
    assert said["subscribed"]["id"] == 1
    assert said["subscribed"]["topics"][topic]["recovered"] is False
    assert said["event"]["cursor"] == said["cursor"]
    assert said["event"]["data"]["payload"] == {"n": 1, "text": "ä€😀"}
    assert said["pong"] == {"type": "pong", "topic": "system", "id": "p"}
    assert said["closedByUs"] in (1000, 1005)
    assert said["recovered"]["topics"][topic] == {"cursor": said["cursor"], "recovered": True}
    assert said["missed"]["data"]["payload"]["n"] == 2
    assert said["refusal"]["code"] == "unauthorized"
    assert said["closedByServer"] == 4401
