"""What ``tail`` prints of an event, whatever a stranger put into it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import AsyncIterator
from types import ModuleType

import pytest
from rich.console import Console

from tidings.cli.tail import line, tail
from tidings.core.events import Event, EventData


def printed(event: Event) -> str:
    """As a terminal gets it."""
    console = Console(file=io.StringIO(), force_terminal=True, highlight=False, soft_wrap=True, width=300)
    console.print(line(event))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def event() -> Event:
    data = EventData(entity_id="g-1", payload={"name": "Bike"}, timestamp="2026-11-23T15:00:01.250Z")
    return Event(topic="gift-list:1", event="ADDED", data=data, cursor="k3f9-42")


def test_a_line() -> None:
    assert line(event()).plain == '15:00:01.250 gift-list:1 ADDED g-1 {"name":"Bike"} k3f9-42'
    assert "\x1b[1;32mADDED" in printed(event())


@pytest.mark.parametrize(
    "hostile", ["[red]x[/red]", "[link=https://evil.example]x[/link]", "\x1b[2Jx", "a\r\nb", "\x9b31m", "\u202ex"]
)
def test_a_hostile_event_neither_styles_nor_moves(hostile: str) -> None:
    data = EventData(entity_id=hostile, payload={"p": hostile})
    plain = line(Event(topic="gift-list:1", event=hostile, data=data)).plain
    assert plain.isprintable()
    shown = printed(Event(topic="gift-list:1", event=hostile, data=data))
    assert "evil.example" not in shown or "[link=https://evil.example]" in shown, "markup became a link"
    assert "\x1b[2J" not in shown and "\x9b" not in shown and shown.count("\n") == 1


def test_a_long_payload_is_cut() -> None:
    data = EventData(entity_id="g-1", payload="x" * 1_000)
    assert len(line(Event(topic="gift-list:1", event="ADDED", data=data)).plain) < 300


class FakeLive:
    def __init__(self, asked: list[object]) -> None:
        self.asked = asked

    async def __aenter__(self) -> FakeLive:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.asked.append("left")

    async def subscribe(self, *topics: str) -> AsyncIterator[Event]:
        self.asked.append(topics)
        while True:
            yield event()


def test_tail_prints_json_and_stops_after_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def connect(url: str, *, token: str | None) -> FakeLive:
        asked.append((url, token))
        return FakeLive(asked)

    fake = ModuleType("tidings.client")
    vars(fake)["connect"] = connect
    monkeypatch.setitem(sys.modules, "tidings.client", fake)
    tail(["gift-list:1", "user:u-1"], url="http://x", token="t", count=2, as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(one)["cursor"] for one in lines] == ["k3f9-42", "k3f9-42"]
    assert asked == [("http://x", "t"), ("gift-list:1", "user:u-1"), "left"]
