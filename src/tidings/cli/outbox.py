"""``tidings outbox``: how it stands, and what became of the events that could not be published."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tidings.cli.outbox_database import relay_of
from tidings.observe.logs import escaped
from tidings.settings import Settings

if TYPE_CHECKING:
    from tidings.outbox import Relay

_T = TypeVar("_T")

outbox = typer.Typer(help="Look after the outbox in your database.", no_args_is_help=True)

_Database = Annotated[str | None, typer.Option("--outbox", help="The database, as SQLAlchemy names it.")]
_AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
_RowId = Annotated[int, typer.Argument(metavar="ID", help="As `tidings outbox parked` shows it.")]


@outbox.command()
def status(database: _Database = None, as_json: _AsJson = False) -> None:
    """Say how many events wait, for how long, and how many are parked. Exit status 1 where some are."""
    now = _ask(database, lambda relay: relay.status())
    if as_json:
        print(json.dumps(asdict(now)))
    else:
        print(f"waiting  {now.waiting}" + (f" (the oldest for {now.oldest_seconds:.1f} s)" if now.waiting else ""))
        print(f"parked   {now.parked}")
        print(f"relay    {now.holder or 'none is at work'}")
    if now.parked:
        sys.exit(1)


@outbox.command()
def parked(
    database: _Database = None,
    as_json: _AsJson = False,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
) -> None:
    """List the events that could not be published, and why."""
    for event in _ask(database, lambda relay: relay.parked(limit)):
        if as_json:
            print(json.dumps(asdict(event)))
        else:
            when = datetime.fromtimestamp(event.parked_at, UTC).isoformat(timespec="seconds")
            print(escaped(f"{event.id}  {when}  {event.event} for {event.topic} ({event.entity_id}): {event.error}"))


@outbox.command()
def retry(row_id: _RowId, database: _Database = None) -> None:
    """Publish a parked event after all, as the newest of its topic."""
    _done(_ask(database, lambda relay: relay.unpark(row_id)), row_id)


@outbox.command()
def discard(row_id: _RowId, database: _Database = None) -> None:
    """Drop a parked event."""
    _done(_ask(database, lambda relay: relay.discard(row_id)), row_id)


def _done(found: bool, row_id: int) -> None:
    if not found:
        print(f"no event {row_id} is parked", file=sys.stderr)
        sys.exit(1)


def _ask(database: str | None, question: Callable[[Relay], Awaitable[_T]]) -> _T:
    settings = Settings() if database is None else Settings(outbox=database)

    async def ask() -> _T:
        relay = relay_of(settings.outbox)
        await relay.check()
        return await question(relay)

    return asyncio.run(ask())
