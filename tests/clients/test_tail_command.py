"""``tidings tail`` against a real ``tidings serve``: what it prints, and what it says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("transport", ["auto", "websocket", "sse", "poll"])
def test_events_as_json_from_a_cursor(transport: str, server: Any, command: Callable[..., Any]) -> None:
    topic = f"gift-list:tail-{transport}"
    cursors = [server.publish(topic, number) for number in (1, 2)]
    root = server.url.removesuffix("/realtime")
    options = ["tail", topic, "--url", root, "--since", cursors[0], "--json", "--count", "2"]
    options += [] if transport == "auto" else ["--transport", transport]
    with command(*options, TIDINGS_TOKEN=server.token()) as process:
        missed = json.loads(process.wait_for(topic).string)
        cursors.append(server.publish(topic, 3))
        live = json.loads(process.wait_for(topic).string)
        assert process.command.wait(10) == 0
    assert [missed["cursor"], live["cursor"]] == cursors[1:]
    assert live["data"]["payload"] == {"n": 3} and live["topic"] == topic
    assert process.errors == []


def test_events_for_people_and_a_gap(server: Any, command: Callable[..., Any]) -> None:
    topic = "gift-list:tail-people"
    options = ["tail", topic, "--url", server.url, "--token", server.token(), "--since", "another-7", "--count", "1"]
    with command(*options) as process:
        process.wait_for_error("may have been missed .epoch_changed.")
        cursor = server.publish(topic, 1)
        line = process.wait_for(topic).string
        assert process.command.wait(10) == 0
    assert line.endswith(f' {topic} UPDATED g-1 {{"n":1}} {cursor}\n')


@pytest.mark.parametrize(
    ("topic", "token", "said"),
    [
        ("news:1", None, "error: news:1: u-1 may not subscribe to news:1.\n"),
        ("nocolon", None, "error: nocolon: "),
        ("gift-list:1", "bad", "error: the connection has ended: unauthorized (close code 4401): "),
    ],
)
def test_what_cannot_be_followed_is_one_line(
    topic: str, token: str | None, said: str, server: Any, command: Callable[..., Any]
) -> None:
    with command("tail", topic, "--url", server.url, "--token", token or server.token()) as process:
        assert process.command.wait(15) == 2
    assert len(process.errors) == 1 and process.errors[0].startswith(said), process.errors


def test_a_server_that_is_not_there_is_said_and_waited_for(command: Callable[..., Any]) -> None:
    with command("tail", "gift-list:1", "--url", "http://127.0.0.1:1", "--token", "t") as process:
        process.wait_for_error("note: the connection is lost; it is dialled again")
        assert process.command.poll() is None
