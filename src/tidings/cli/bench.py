"""``tidings bench``: many subscribers against a server, and what they got."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from tidings.auth.jwt import mint_token
from tidings.cli.publish import DEFAULT_URL
from tidings.client.addresses import Address, parse_address
from tidings.client.checks import check_subscribable
from tidings.core.errors import UsageError
from tidings.load import Load, Notify, Progress, Refused, Report, run
from tidings.load.report import Times
from tidings.observe.logs import escaped

FOUND_STATUS = 1  # something was lost, or somebody was not let in
_BAR_CELLS = 40
_TOKEN_SECONDS_SPARE = 600
_ERRORS_SHOWN = 10


def bench(
    url: Annotated[str, typer.Argument(envvar="TIDINGS_URL", help="The server; never one that others use.")] = (
        DEFAULT_URL
    ),
    connections: Annotated[int, typer.Option(min=1, help="Subscribers, each on a connection of its own.")] = 100,
    topics: Annotated[int, typer.Option(min=1, help="Topics; the subscribers take them in turns, one each.")] = 1,
    rate: Annotated[float, typer.Option(min=0.1, help="Events published a second, on all topics together.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long events are published.")] = 10,
    ramp: Annotated[float, typer.Option(min=0, help="Connections opened a second; 0: as fast as it goes.")] = 100,
    payload_bytes: Annotated[int, typer.Option(min=0, max=100_000, help="Added to every event.")] = 100,
    topic: Annotated[str, typer.Option(help="Topics are named TOPIC-1, TOPIC-2 and so on.")] = "bench:load",
    secret: Annotated[
        str | None, typer.Option(envvar="TIDINGS_SECRET", help="The server's: every connection is a user of its own.")
    ] = None,
    token: Annotated[
        list[str] | None,
        typer.Option(envvar="TIDINGS_TOKEN", help="Instead of the secret; connections take them in turns. Repeatable."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="TIDINGS_API_KEY", help="Publish over HTTP, as a back end does; else as a client does."),
    ] = None,
    patience: Annotated[
        float, typer.Option(min=0.1, help="Seconds without news at the end after which what is missing is lost.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Open many subscribers, publish at a steady pace, and count what each of them got.

    Beside rates and latencies it counts what was lost, doubled and reordered, by the numbers that the events carry.
    A connection that is dropped comes back from its cursor, so restart the server meanwhile if you like.

    A server lets a user have 20 connections and a client publish 10 events a second unless it is started with
    --limits off. Give the secret, or a token that may subscribe and publish to TOPIC-1 and so on. One
    bench takes some 10,000 events a second; it says so when it was busier than the server.

    Exit status 0: every subscriber got every event, in order and once; 1: not so.

    Example: tidings serve --secret S --api-key K --limits off, and tidings bench --secret S --api-key K --rate 100
    """
    address, names = _address(url), [f"{topic}-{number}" for number in range(1, topics + 1)]
    check_subscribable(names[0])
    tokens, publisher_token = _tokens(secret, token, connections, names[0], seconds + connections / (ramp or 10))
    load = Load(
        address, tokens, publisher_token, api_key or None, names, connections, ramp, rate, seconds, payload_bytes,
        patience,
    )  # fmt: skip
    try:
        with _watching(show=not as_json) as notify:
            report = asyncio.run(run(load, notify))
    except Refused as refusal:
        raise UsageError(f"the publisher cannot connect to {escaped(address.text)}: {escaped(str(refusal))}") from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        _print(report)
    if not report.whole:
        raise typer.Exit(FOUND_STATUS)


def _address(url: str) -> Address:
    try:
        return parse_address(url)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _tokens(
    secret: str | None, given: Sequence[str] | None, connections: int, topic: str, seconds: float
) -> tuple[Sequence[str], str]:
    """The subscribers' tokens, and the publisher's. Raises UsageError where there is nothing to sign in with."""
    if given:
        return given, given[0]
    if not secret:
        raise UsageError("nobody can sign in: give --secret, the server's, or --token; tidings token makes one")
    pattern = f"{topic.partition(':')[0]}:*"
    now, ttl_seconds = datetime.now(UTC), int(seconds) + _TOKEN_SECONDS_SPARE

    def minted(user: str, publish: Sequence[str] | None = None) -> str:
        return mint_token(secret, user=user, subscribe=[pattern], publish=publish, ttl_seconds=ttl_seconds, now=now)

    return [minted(f"bench-{number}") for number in range(connections)], minted("bench-publisher", [pattern])


@contextmanager
def _watching(*, show: bool) -> Iterator[Notify]:
    """A bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"))
    with Bars(*columns, console=console, disable=not show or not console.is_terminal, transient=True) as bars:
        task = bars.add_task("connecting", total=1.0, said="")

        def notify(progress: Progress) -> None:
            said = f"{progress.opened:,} open, {progress.published:,} published, {progress.received:,} received"
            trouble = f"; {progress.failed:,} refused, {progress.dropped:,} dropped"
            said += trouble if progress.failed or progress.dropped else ""
            bars.update(task, description=progress.phase, completed=progress.share, said=said)

        yield notify


def _print(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table.grid(padding=(0, 3))
    for name, value in _rows(report):
        table.add_row(Text(name, "bold"), value)
    console.print(table)
    if console.is_terminal:
        _print_histogram(console, report.latency_ms)
    for words, count in list(report.errors.items())[:_ERRORS_SHOWN]:
        console.print(Text(f"{count:,} times: {escaped(words)}"))
    if report.told:
        console.print("Told: missed, but the server had said so (recovered: false).", style="dim")
    if report.bound_by_load:
        console.print(
            f"This program used {report.load_cpu_share:.0%} of a core: the figures are rather its own than the "
            "server's. Run several, or ask for less.",
            style="yellow",
        )


def _rows(report: Report) -> Iterator[tuple[str, str | Text]]:
    connections, setup = report.connections, report.connections.setup_ms
    said = f"{connections.opened:,} of {connections.wanted:,} in {connections.seconds:.1f} s"
    if connections.dropped:
        said += f"; {connections.dropped:,} dropped, {connections.recovered:,} recovered, {connections.gone:,} gone"
    yield "Connections", said
    if not connections.opened:
        return
    yield "Set-up", f"p50 {setup.p50:.1f} ms, p99 {setup.p99:.1f} ms, max {setup.max:.1f} ms"
    failed = f"; {report.publish_failed:,} failed" if report.publish_failed else ""
    yield "Published", f"{report.published:,} in {report.publish_seconds:.1f} s{failed}"
    yield "Received", f"{report.received:,} of {report.expected:,}, {report.deliveries_per_second:,.0f} a second"
    counts = {"Lost": report.lost, "Told": report.told, "Doubled": report.doubled, "Reordered": report.reordered}
    for name, count in counts.items():
        yield name, Text(f"{count:,}", "bold red" if count else "")
    yield "Latency", _percentiles(report.latency_ms)


def _percentiles(times: Times) -> str:
    named = (("p50", times.p50), ("p90", times.p90), ("p99", times.p99), ("p99.9", times.p999), ("max", times.max))
    return ", ".join(f"{name} {value:.1f} ms" for name, value in named)


def _print_histogram(console: Console, times: Times) -> None:
    most = max((count for _, count in times.histogram), default=0)
    for bound, count in times.histogram:
        bar = "█" * round(count / most * _BAR_CELLS) or ("▏" if count else "")
        console.print(f"  below {bound:>7g} ms  {bar} {count:,}")
