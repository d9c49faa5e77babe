"""``tidings tail``: follow topics in a terminal."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tidings.cli.publish import DEFAULT_URL
from tidings.client import TRANSPORTS, connect
from tidings.core.errors import UsageError
from tidings.core.events import Event
from tidings.observe.logs import escaped

ERROR_NOTE_SECONDS = 1.0
_STYLES = {"ADDED": "green", "UPDATED": "yellow", "DELETED": "red", "STATUS_CHANGED": "magenta"}
_PAYLOAD_LENGTH_MAX = 200  # of one line for people; --json has it whole
_client_log = logging.getLogger("tidings.client")


class Transport(StrEnum):
    """What may carry the events."""

    AUTO = "auto"
    WEBSOCKET = "websocket"
    SSE = "sse"
    POLL = "poll"

    @property
    def names(self) -> tuple[str, ...]:
        """For the client: all of them, or one."""
        return TRANSPORTS if self is Transport.AUTO else (self.value,)


def tail(
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC...", help="Such as gift-list:123 or gift-list:*.")],
    url: Annotated[str, typer.Option(envvar="TIDINGS_URL", help="The server.", show_envvar=True)] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="TIDINGS_TOKEN", help="See tidings token --help.", show_envvar=True)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Cursor to go on from; for one topic.")] = None,
    transport: Annotated[
        Transport, typer.Option(help="auto: the first that works, WebSocket before streams before polls.")
    ] = Transport.AUTO,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as one line of JSON, for scripts.")] = False,
) -> None:
    """Print events as they come, across reconnects, until you press Ctrl+C.

    Outages, and events that may have been missed, are told on standard error.
    """
    if not token:
        raise UsageError("a token is missing: give --token or TIDINGS_TOKEN; tidings token makes one")
    if since is not None and len(topics) > 1:
        raise UsageError("--since is a position in one topic; these are several")
    notes = _Notes()
    _client_log.addHandler(notes)
    _client_log.propagate = False  # said here, as text without control characters
    try:
        asyncio.run(_follow(topics, url, token, since, transport.names, count, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        _client_log.removeHandler(notes)
        _client_log.propagate = True


async def _follow(
    topics: list[str],
    url: str,
    token: str,
    since: str | None,
    transports: Sequence[str],
    count: int | None,
    *,
    as_json: bool,
) -> None:
    console = Console(highlight=False, soft_wrap=True)
    seen = 0
    async with connect(url, token=token, transports=transports) as live:
        async for event in live.subscribe(*topics, since=since):
            if as_json:
                print(msgspec.json.encode(event).decode(), flush=True)
            else:
                console.print(line(event))
            seen += 1
            if seen == count:
                return


class _Notes(logging.Handler):
    """What the client says, on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        text = escaped(record.getMessage())
        if record.levelno < logging.ERROR:
            _say(text)
        else:
            # What ends the command is raised too, and said by that: only what it survives is said here.
            asyncio.get_running_loop().call_later(ERROR_NOTE_SECONDS, _say, text)


def _say(text: str) -> None:
    print(f"note: {text}", file=sys.stderr, flush=True)


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
