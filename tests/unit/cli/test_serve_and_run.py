"""What the commands that start a server refuse before they start, and which options they give uvicorn."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tidings.cli.serve import websocket_options
from tidings.core.limits import Limits

SECRET = "0123456789abcdef0123456789abcdef"


def tidings(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a place without settings of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIDINGS_")}
    kept["PYTHONPATH"] = str(Path(websocket_options.__code__.co_filename).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "tidings.cli.main", *arguments],
        env=kept | environment, cwd=cwd, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve"], "error: a secret is missing: give --secret or TIDINGS_SECRET, 32 bytes or more, or --dev"),
        (["serve", "--secret", "short"], "error: secret has 5 bytes, and HS256 needs 32 or more"),
        (["serve", "--dev", "--broker", "redis://:pw@x"], "error: broker 'redis' is not supported; use memory"),
        (["serve", "--dev", "--workers", "2"], "error: --workers 2 needs a broker that processes share"),
        (["serve", "--dev", "--limits", "on"], "error: --limits can only be off"),
        (["serve", "--dev", "--prefix", "x"], "error: setting prefix (TIDINGS_PREFIX): 'x' must be a path"),
        (["serve", "--dev", "--allowed-origin", "*"], "error: allowed_origins: '*' is not an origin"),
        (["serve", "--dev", "--topics", "Gift"], "error: setting topics (TIDINGS_TOPICS): 'Gift' is not a topic type"),
        (["serve", "--dev", "--host", "256.0.0.1"], "error: cannot listen on 256.0.0.1:8000: "),
        (["serve", "--dev", "--config", "nowhere.toml"], "error: TIDINGS_CONFIG names nowhere.toml"),
        (["serve", "--public-key", "nowhere.pem"], "error: setting public_key (TIDINGS_PUBLIC_KEY): is no PEM"),
        (["run", "main:app", "--workers", "2"], "error: --workers 2 needs a broker that processes share"),
        (["run", "main:app", "--prot", "1"], "error: No such option '--prot'"),
        (["token", "--user", "u-1"], "error: a secret is missing"),
        (["token", "--user", "u-1", "--secret", "short"], "error: secret has 5 bytes"),
        (["token", "--user", "", "--secret", SECRET], "error: The token's claim sub must be a string"),
        (["publish", "gift-list:1", "UPDATED", "g"], "error: an API key is missing"),
        (["publish", "gift-list:1", "UPDATED", "g", "{", "--api-key", "k"], "error: the payload is not JSON: "),
        (["publish", "gift-list:1", "UPDATED", "g", "--api-key", "k", "--url", "nowhere"], "is not a URL of a server"),
        (
            ["publish", "gift-list:1", "UPDATED", "g", "--api-key", "k", "--url", "http://127.0.0.1:1"],
            "error: cannot reach http://127.0.0.1:1: ",
        ),
    ],
)
def test_an_expected_fault_is_one_line_and_status_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = tidings(*arguments, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("Made for this run: ")]
    assert len(errors) == 1, done.stderr
    assert said in errors[0]
    assert done.returncode == 2
    assert done.stdout == ""
    assert ":pw@" not in done.stderr


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    done = tidings("serve", "--dev", cwd=tmp_path, TIDINGS_LIMIT_FRAME_BYTE="1")
    assert done.stderr == "error: TIDINGS_LIMIT_FRAME_BYTE is not a limit; did you mean frame_bytes?\n"
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", 'Attribute "app" not found in module "main"'),
        ("from tidings import Tidings\nTidings(secret='short')\n", "error: secret has 5 bytes"),
    ],
)
def test_run_of_an_application_that_cannot_start(source: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(source)
    done = tidings("run", "main:app", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_run_of_an_application_that_is_not_there(tmp_path: Path) -> None:
    done = tidings("run", "nowhere:app", cwd=tmp_path)
    assert done.returncode == 2
    assert 'Could not import module "nowhere"' in done.stderr and "Traceback" not in done.stderr


def test_help_lists_every_command() -> None:
    done = tidings("--help", COLUMNS="200")
    for command in ("serve", "run", "publish", "tail", "token", "validate"):
        assert re.search(rf"^\W*{command} ", done.stdout, re.M), f"{command} is not in --help"
        said = tidings(command, "--help", COLUMNS="200")
        assert said.returncode == 0 and "Usage: " in said.stdout


def test_websocket_options() -> None:
    assert websocket_options(Limits()) == {
        "ws_per_message_deflate": False, "ws_max_size": 131_072, "ws_ping_interval": 25, "ws_ping_timeout": 35,
    }  # fmt: skip
    off = websocket_options(Limits(frame_bytes=0, heartbeat_seconds=0, silence_seconds=0))
    assert off["ws_max_size"] > 2**30
    assert off["ws_ping_interval"] is None and off["ws_ping_timeout"] is None
