"""What ``tail`` prints of an event, whatever a stranger put into it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tidings.cli.tail import line, tail
from tidings.core.errors import UsageError
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


@pytest.mark.parametrize(
    ("options", "said"),
    [({}, "a token is missing"), ({"token": "t", "since": "k3f9-1"}, "--since is a position in one topic")],
)
def test_tail_refuses(options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tail(["gift-list:1", "gift-list:2"], **options)  # type: ignore[arg-type]
