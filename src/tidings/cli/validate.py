"""``tidings validate``: is this an event, and what is wrong with it (R5). ``npx tidings validate`` prints the same."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from tidings.core.fault import Fault, shown
from tidings.core.validator import Report, validate_bytes

# One line of output: pieces of text, each with its style in a terminal.
Line = list[tuple[str, str]]


def validate(
    event: Annotated[
        str | None,
        typer.Argument(metavar="[EVENT|FILE|-]", help="An event as JSON, a file, or - for standard input."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Check an event, or one a line (NDJSON): errors, warnings, and what was understood. Exit status 0 or 1."""
    source = read_source(event)
    if source is None:
        typer.echo(f"error: {unreadable(event)}", err=True)
        raise typer.Exit(1)
    reports = validate_bytes(source, by_line=event is not None and event.endswith((".ndjson", ".jsonl")))
    if as_json:
        write([[("", to_json(reports))]])
    else:
        write(lines_of(reports))
    if not all(report.valid for report in reports):
        raise typer.Exit(1)


def read_source(event: str | None) -> bytes | None:
    """The bytes that the argument means; None where there are none to be had."""
    if event is None or event == "-":
        return None if event is None and sys.stdin.isatty() else sys.stdin.buffer.read()
    if event.lstrip(" \t\r\n").startswith(("{", "[")):
        return event.encode("utf-8", "surrogateescape")
    try:
        return Path(event).read_bytes()
    except (OSError, ValueError):
        return None


def unreadable(event: str | None) -> str:
    """Why there is nothing to validate."""
    mend = "give an event as JSON, the name of a file, or - for standard input"
    return mend if event is None else f"{shown(event)} is neither JSON nor a file that can be read; {mend}"


def lines_of(reports: Sequence[Report]) -> Iterator[Line]:
    """What is printed: a line a fault, what was understood, and the sum."""
    for report in reports:
        start: Line = [("dim", f"line {report.line}: ")] if report.line is not None else []
        for fault in report.errors:
            yield [*start, ("bold red", "error"), *_fault(fault)]
        for fault in report.warnings:
            yield [*start, ("yellow", "warning"), *_fault(fault)]
        if report.understood is not None:
            said = report.understood
            parts = (("topic", said.topic), ("event", said.event), ("entity", said.entity_id))
            words = ", ".join(f"{name} {'nothing' if text is None else shown(text)}" for name, text in parts)
            yield [*start, ("cyan", "understood"), ("", f": {words}")]
    valid = all(report.valid for report in reports)
    yield [("bold green" if valid else "bold red", _sum(reports))]


def _fault(fault: Fault) -> Line:
    return [("", ": "), ("bold", fault.path or "the event"), ("", f" {fault.message}; {fault.hint}")]


def _sum(reports: Sequence[Report]) -> str:
    errors = _count(sum(len(report.errors) for report in reports), "error")
    warnings = _count(sum(len(report.warnings) for report in reports), "warning")
    good = sum(report.valid for report in reports)
    if reports[0].line is None:
        return f"{'valid' if good else 'invalid'}: {errors}, {warnings}"
    return f"{_count(len(reports), 'event')}: {good} valid, {len(reports) - good} invalid; {errors}, {warnings}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def to_json(reports: Sequence[Report]) -> str:
    """One object, in ASCII: a terminal obeys nothing in it."""

    def faults(found: Sequence[Fault]) -> list[dict[str, str]]:
        return [{"code": str(f.code), "path": f.path, "message": f.message, "hint": f.hint} for f in found]

    events = [
        {
            "line": report.line,
            "valid": report.valid,
            "errors": faults(report.errors),
            "warnings": faults(report.warnings),
            "understood": None
            if report.understood is None
            else {
                "topic": report.understood.topic,
                "event": report.understood.event,
                "entity_id": report.understood.entity_id,
            },
        }
        for report in reports
    ]
    whole = {"valid": all(report.valid for report in reports), "events": events}
    return json.dumps(whole, separators=(",", ":")).replace("\x7f", "\\u007f")


def write(lines: Iterator[Line] | Sequence[Line]) -> None:
    """In colour to a terminal; else plain, and in UTF-8 whatever the locale says."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        console = Console(highlight=False, soft_wrap=True)
        for line in lines:
            console.print(Text.assemble(*((text, style) for style, text in line)))
        return
    for line in lines:
        typer.echo("".join(text for _, text in line).encode())
