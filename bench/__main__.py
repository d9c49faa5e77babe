"""Run the benchmark: ``python -m bench``; ``--full`` for the figures that the documentation shows."""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import build, machine, page, plot, quiet, tables
from bench.peers import tokens
from bench.peers.catalog import PEERS, Peer
from bench.processes import Failed
from bench.results import Results
from bench.sessions import FULL, SESSIONS, SHORT, WARM_UP_CONNECTIONS, Bench, Figures, Session, Size

RESULTS = build.BUILD / "results"
_TOKENS_SECONDS = 7_200  # they are good for longer than a run takes
_DESCRIPTORS_SPARE = 500  # beside one for each connection


def main() -> None:
    """Measure, and write results.json, results.md and results.svg."""
    options = _options()
    if options.page is not None:
        page.write(Results.load(options.page))
        return
    console = Console(stderr=True)
    size = _size(options)
    try:
        build.load()
    except build.Unavailable as error:
        sys.exit(f"error: {error}")
    results = Results(
        {"machine": machine.facts(), "size": dataclasses.asdict(size) | {"crowd_topics": size.crowd_topics}}
    )
    peers = _prepared([peer for peer in PEERS if not options.peers or peer.name in options.peers], results, console)
    results.facts["versions"] = machine.versions()
    sessions = [
        session
        for session in SESSIONS
        if (session.name in options.sessions if options.sessions else size.long or not session.long)
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        _measure(peers, sessions, size, results, console)
    except KeyboardInterrupt:
        console.print("stopped: what is there so far is written")
    results.save(RESULTS / "results.json")
    text = tables.markdown(results)
    (RESULTS / "results.md").write_text(text)
    (RESULTS / "results.svg").write_text(plot.svg(results))
    print(text)
    console.print(f"written to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    if results.failed:
        sys.exit(1)


def _measure(
    peers: Sequence[Peer], sessions: Sequence[Session], size: Size, results: Results, console: Console
) -> None:
    """Round by round, and in each round one peer after the other: what drifts with the machine meets all alike."""
    steps = [
        (number, session, peer)
        for number in range(size.rounds)
        for session in sessions
        if not session.many or number < size.crowd_rounds
        for peer in peers
        if session.fits(peer)
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(steps))
        for done, (number, session, peer) in enumerate(steps, 1):
            label = f"round {number + 1}: {session.name}, {peer.name}"
            progress.update(task, description=label)
            begun = time.monotonic()
            outcome = _one(session, peer, size, results)
            if not console.is_terminal:
                print(f"{done}/{len(steps)} {label}: {outcome}, {time.monotonic() - begun:.1f} s", file=sys.stderr)
            progress.advance(task)
            results.save(RESULTS / "results.json")


def _one(session: Session, peer: Peer, size: Size, results: Results) -> str:
    """Measure; again where the machine was busy with other work, and then the calmest counts."""
    folder = build.BUILD / "run" / peer.name
    folder.mkdir(parents=True, exist_ok=True)
    best: tuple[float, Figures] | None = None
    fault = ""
    for _ in range(1 + size.repeats):
        quiet.wait(size.calm_seconds)
        try:
            with quiet.Watch() as watch:
                figures = session.measure(Bench(peer, size, folder, *_tokens(size)))
        except Failed as error:
            fault = f"failed: {error}"
            continue
        if best is None or watch.foreign_share < best[0]:
            best = watch.foreign_share, figures
        if watch.foreign_share <= quiet.QUIET_SHARE:
            break
    if best is None:
        results.failed.append(f"{session.name}, {peer.name}: {fault}")
        return fault
    share, figures = best
    results.add(peer.name, figures | {f"foreign_share_{session.name}": share})
    return f"measured, other work {share:.0%} of a core"


def _tokens(size: Size) -> tuple[Path, Path]:
    """The files of tokens: for the measured connections, and for those before them."""
    count = max(size.crowd, size.subscribers)
    path, warm_up = build.BUILD / f"tokens-{count}.txt", build.BUILD / "tokens-warm-up.txt"
    if not path.exists() or not warm_up.exists() or time.time() - path.stat().st_mtime > _TOKENS_SECONDS:
        tokens.write(path, "u", count)
        tokens.write(warm_up, "w", WARM_UP_CONNECTIONS)
    return path, warm_up


def _prepared(peers: Sequence[Peer], results: Results, console: Console) -> list[Peer]:
    ready: list[Peer] = []
    for peer in peers:
        try:
            peer.prepare()
        except build.Unavailable as error:
            results.skipped[peer.name] = str(error)
            console.print(f"skipped: {peer.title}: {error}", highlight=False)
        else:
            results.titles[peer.name] = peer.title
            ready.append(peer)
    return ready


def _size(options: argparse.Namespace) -> Size:
    size = FULL if options.full else SHORT
    if options.rounds:
        size = dataclasses.replace(size, rounds=options.rounds, crowd_rounds=min(options.rounds, size.crowd_rounds))
    if options.repeats is not None:
        size = dataclasses.replace(size, repeats=options.repeats)
    if options.calm is not None:
        size = dataclasses.replace(size, calm_seconds=options.calm)
    if options.crowd:
        size = dataclasses.replace(size, crowd=options.crowd)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the servers inherit it
    room = most - _DESCRIPTORS_SPARE
    if room < size.crowd:
        print(f"note: {size.crowd} connections need more descriptors than {most}: {room} are used", file=sys.stderr)
        size = dataclasses.replace(size, crowd=room)
    return size


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Tidings beside its peers, in one run.")
    parser.add_argument("--full", action="store_true", help="10,000 connections and 5 rounds: about an hour")
    parser.add_argument("--rounds", type=int, help="so many, instead of 3 (with --full 5)")
    parser.add_argument("--crowd", type=int, help="so many connections, instead of 2,000 (with --full 10,000)")
    parser.add_argument("--repeats", type=int, help="how often one is repeated at most where the machine was busy")
    parser.add_argument("--calm", type=float, metavar="SECONDS", help="how long to wait at most for a calm machine")
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in PEERS], help="these alone")
    parser.add_argument("--sessions", nargs="+", choices=[one.name for one in SESSIONS], help="these alone")
    parser.add_argument("--page", type=Path, metavar="RESULTS.JSON", help="measure nothing: write docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
