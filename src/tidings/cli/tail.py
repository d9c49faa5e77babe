"""``tidings tail``: follow topics in a terminal."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tidings.cli.publish import DEFAULT_URL
from tidings.core.events import Event
from tidings.observe.logs import escaped

_STYLES = {"ADDED": "green", "UPDATED": "yellow", "DELETED": "red", "STATUS_CHANGED": "magenta"}
_PAYLOAD_LENGTH_MAX = 200  # of one line for people; --json has it whole


def tail(
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="Such as gift-list:123 or gift-list:*.")],
    url: Annotated[str, typer.Option(envvar="TIDINGS_URL", help="The server.", show_envvar=True)] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="TIDINGS_TOKEN", help="See tidings token --help.", show_envvar=True)
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON, for scripts.")] = False,
) -> None:
    """Print events as they come, until you press Ctrl+C."""
    try:
        asyncio.run(_follow(topics, url, token, count, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _follow(topics: list[str], url: str, token: str | None, count: int | None, *, as_json: bool) -> None:
    from tidings.client import connect  # noqa: PLC0415 - the other commands start without it

    console = Console(highlight=False, soft_wrap=True)
    seen = 0
    async with connect(url, token=token) as live:
        async for event in live.subscribe(*topics):
            if as_json:
                print(msgspec.json.encode(event).decode(), flush=True)
            else:
                console.print(line(event))
            seen += 1
            if seen == count:
                return


def line(event: Event) -> Text:
    """One event for people. Built of pieces, never of markup: what a stranger wrote must not style or link (C15)."""
    data: Any = event.data
    payload = "" if data.payload is None else msgspec.json.encode(data.payload).decode()
    if len(payload) > _PAYLOAD_LENGTH_MAX:
        payload = payload[:_PAYLOAD_LENGTH_MAX] + "…"
    pieces = [
        (f"{(data.timestamp or '')[11:23]:<12}", "dim"),
        (event.topic, "cyan"),
        (event.event, f"bold {_STYLES.get(event.event, 'blue')}"),
        (data.entity_id, "bold"),
        (payload, ""),
        (event.cursor or "", "dim"),
    ]
    return Text(" ").join(Text(escaped(text), style=style) for text, style in pieces if text)
