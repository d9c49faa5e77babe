"""From the database's commit to a subscriber's hand, through the outbox.

One process holds the application, its relay and the subscriber, whose frames come over a real socket; the database
is a PostgreSQL of its own and a SQLite file. Beside it stands the same event published by hand after the commit, so
that what the outbox adds can be read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from starlette.applications import Starlette

from tests.databases import postgresql
from tests.servers import serving
from tidings import Tidings
from tidings.auth import mint_token
from tidings.client import connect
from tidings.outbox import Outbox

SECRET = secrets.token_hex(32)
TOPIC = "gift-list:1"


@asynccontextmanager
async def _application(url: str, outbox: Outbox) -> AsyncIterator[tuple[Tidings, AsyncEngine, str]]:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(outbox.tables.events.metadata.create_all)
    live, app = Tidings(secret=SECRET, outbox=outbox.relay(engine)), Starlette()
    live.mount(app)
    async with serving(app, lifespan="on") as address:
        yield live, engine, address.http
    await engine.dispose()


async def _measure(
    http: str, commit: Callable[[str], Awaitable[None]], *, commits: int, per_second: float
) -> list[float]:
    """Milliseconds from the return of each commit to its event, in the order of the commits."""
    token = mint_token(SECRET, user="u-1", now=datetime.now(UTC), subscribe=["gift-list:*"], ttl_seconds=600)
    came: dict[str, float] = {}
    gone: dict[str, float] = {}
    async with connect(http, token=token) as live:

        async def watch() -> None:
            async for event in live.subscribe(TOPIC):
                came[event.entity_id] = time.perf_counter()
                if len(came) == commits + 1:
                    return

        watching = asyncio.create_task(watch())
        while not came:  # the subscription stands once the first event has come
            await commit("first")
            await asyncio.sleep(0.1)
        begun = time.perf_counter()
        for number in range(commits):
            await asyncio.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
            await commit(f"e-{number}")
            gone[f"e-{number}"] = time.perf_counter()
        await asyncio.wait_for(watching, 30)
    return [1_000 * (came[entity] - moment) for entity, moment in gone.items()]


async def _both_ways(url: str, *, commits: int, per_second: float) -> dict[str, list[float]]:
    outbox = Outbox(MetaData())
    async with _application(url, outbox) as (live, engine, http):

        async def by_outbox(entity: str) -> None:
            async with AsyncSession(engine) as session, session.begin():
                outbox.add(session, TOPIC, "UPDATED", entity_id=entity, payload={"name": "Kite"})

        async def by_hand(entity: str) -> None:
            await live.publish(TOPIC, "UPDATED", entity_id=entity, payload={"name": "Kite"})

        return {
            "outbox": await _measure(http, by_outbox, commits=commits, per_second=per_second),
            "by hand": await _measure(http, by_hand, commits=commits, per_second=per_second),
        }


def _row(milliseconds: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(milliseconds, n=100)
    return {"p50_ms": round(cut[49], 2), "p99_ms": round(cut[98], 2), "max_ms": round(max(milliseconds), 2)}


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--commits", type=int, default=1_000)
    parser.add_argument("--per-second", type=float, default=100.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        databases: dict[str, AbstractContextManager[str]] = {
            "SQLite": nullcontext(f"sqlite+aiosqlite:///{Path(folder) / 'app.sqlite3'}"),
            "PostgreSQL": postgresql(),
        }
        for name, started in databases.items():
            with started as place:
                url = place if "://" in place else f"postgresql+asyncpg://postgres@{place}/postgres"
                found = asyncio.run(_both_ways(url, commits=options.commits, per_second=options.per_second))
                rows |= {f"{name}, {way}": _row(times) for way, times in found.items()}
    if options.json:
        print(json.dumps({"per_second": options.per_second, "commits": options.commits, "rows": rows}))
        return
    print(f"From the commit to a subscriber's hand, {options.per_second:g} commits a second, {options.commits} commits")
    print(f"{'':24}{'p50':>9}{'p99':>9}{'max':>9}  (milliseconds)")
    for name, row in rows.items():
        print(f"{name:24}{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row['max_ms']:9.2f}")


if __name__ == "__main__":
    main()
