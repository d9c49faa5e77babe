"""The tables, as Markdown: a peer a line, the figure and beside it its ratio to Tidings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench import goals
from bench.results import Results

BUSY_SHARE = 0.15  # of a core that other work took: above it the tables say so


class Column(NamedTuple):
    """One figure: where it stands, how it is written, and whether a ratio to Tidings belongs beside it."""

    name: str
    title: str
    write: Callable[[float], str]
    ratio: bool = True


def _thousands(value: float) -> str:
    return f"{value:,.0f}"


def _milliseconds(value: float) -> str:
    return f"{value / 1000:.1f}"


def _kilobytes(value: float) -> str:
    return f"{value / 1000:.1f}"


def _one(value: float) -> str:
    return f"{value:.1f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def _two(value: float) -> str:
    return f"{value:.2f}"


def _yes(value: float) -> str:
    return "yes" if value == 1 else "no"


TABLES: Sequence[tuple[str, str, Sequence[Column]]] = (
    (
        "Fan-out",
        "Deliveries a second, with so many publications under way (W), and in brackets the ratio to Tidings: 1,000 "
        "subscribers of one topic; many topics with 100 subscribers each; as many topics as connections.",
        (
            Column("fanout_w1", "1,000 on one, W=1", _thousands),
            Column("fanout_w16", "1,000 on one, W=16", _thousands),
            Column("crowd_w1", "100 a topic, W=1", _thousands),
            Column("crowd_w16", "100 a topic, W=16", _thousands),
            Column("many_topics_w16", "1 a topic, W=16", _thousands),
            Column("many_topics_w256", "1 a topic, W=256", _thousands),
        ),
    ),
    (
        "Processor time of the server",
        "Microseconds of one core for each delivery, user and system time together.",
        (
            Column("fanout_w1_cpu_us", "1,000 on one, W=1", _two, ratio=False),
            Column("fanout_w16_cpu_us", "1,000 on one, W=16", _two, ratio=False),
            Column("crowd_w1_cpu_us", "100 a topic, W=1", _two, ratio=False),
            Column("crowd_w16_cpu_us", "100 a topic, W=16", _two, ratio=False),
        ),
    ),
    (
        "Latency",
        "Milliseconds from when a publication is due until it has arrived, over all subscribers of one topic: at "
        "half of the rate that the server itself reaches with W=1, and at 20,000 deliveries a second for all.",
        (
            Column("latency_half_p50_us", "half: p50", _milliseconds, ratio=False),
            Column("latency_half_p99_us", "p99", _milliseconds, ratio=False),
            Column("latency_half_p999_us", "p99.9", _milliseconds, ratio=False),
            Column("latency_common_p50_us", "20,000/s: p50", _milliseconds, ratio=False),
            Column("latency_common_p99_us", "p99", _milliseconds, ratio=False),
            Column("latency_common_p999_us", "p99.9", _milliseconds, ratio=False),
        ),
    ),
    (
        "Connections",
        "Set-up: handshake, check of a JWT, one subscription, answered. Memory of one idle connection: what the "
        "process holds alone, and what the kernel holds for its socket.",
        (
            Column("setup_per_second", "set up a second", _thousands),
            Column("setup_cpu_us", "CPU each, µs", _thousands, ratio=False),
            Column("memory_own_bytes", "process, KB", _kilobytes),
            Column("memory_kernel_bytes", "kernel, KB", _kilobytes, ratio=False),
        ),
    ),
    (
        "Recovery",
        "The server on SQLite is killed with kill -9 under all its clients and started again; 10 events a topic are "
        "published; then all clients come back at once. The time ends when the last one has all it missed.",
        (
            Column("recovery_per_second", "clients a second", _thousands, ratio=False),
            Column("recovery_events_per_second", "missed events a second", _thousands, ratio=False),
            Column("recovery_seconds", "seconds in all", _one, ratio=False),
        ),
    ),
    (
        "Storing",
        "Publications a second by 1 and by 64 clients, each of which waits for its answer before the next: in memory, "
        "and on SQLite, where each is on the disk before it is answered. Beside it what the disk takes for 4 KB and "
        "fdatasync.",
        (
            Column("memory_w1", "memory, 1", _thousands, ratio=False),
            Column("memory_w64", "memory, 64", _thousands, ratio=False),
            Column("durable_w1", "SQLite, 1", _thousands, ratio=False),
            Column("durable_w64", "SQLite, 64", _thousands, ratio=False),
            Column("durable_sync_us", "disk, µs", _thousands, ratio=False),
        ),
    ),
    (
        "One reader in ten stops reading",
        "200 subscribers, 100 events of 4 KB a second: the p99 of those that go on, what the server holds for each "
        "stopped one, and how many it cut off; and whether these came back without a gap.",
        (
            Column("stalled_calm_p99_us", "calm p99, ms", _milliseconds, ratio=False),
            Column("stalled_p99_us", "p99 then, ms", _milliseconds, ratio=False),
            Column("stalled_memory_bytes_each", "held, KB each", _kilobytes, ratio=False),
            Column("stalled_cut_off", "cut off", _share, ratio=False),
            Column("stalled_closed_4503", "told 4503", _share, ratio=False),
            Column("stalled_back_whole", "back whole", _yes, ratio=False),
        ),
    ),
)


def markdown(results: Results) -> str:
    """All tables for which there are figures, with the machine's facts above and what is missing below."""
    parts = [_facts(results)]
    for title, legend, columns in TABLES:
        table = _table(results, columns)
        if table:
            parts.append(f"### {title}\n\n{legend}\n\n{table}")
    held = goals.markdown(results)
    if held:
        parts.append(f"### Goals\n\nWhat the fast transport holds itself to, as ratios within the run.\n\n{held}")
    if results.skipped:
        parts.append("Not run: " + "; ".join(f"{name} ({why})" for name, why in results.skipped.items()) + ".")
    if results.failed:
        parts.append("Failed:\n\n" + "\n".join(f"- {line}" for line in results.failed))
    return "\n\n".join(parts) + "\n"


def _facts(results: Results) -> str:
    facts, size = results.facts["machine"], results.facts["size"]
    versions = ", ".join(f"{name} {version}" for name, version in results.facts["versions"].items())
    foreign = results.foreign_share()
    busy = (
        f" **The machine was not calm: other work took {foreign:.0%} of a core. Believe the processor times and the "
        "memory; the rates and latencies are rough.**"
        if foreign > BUSY_SHARE
        else f" Other work took {foreign:.0%} of a core."
    )
    cores = "server and load on a core each" if facts["pinned"] else "server and load not pinned to cores"
    return (
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, Linux {facts['kernel']}; {cores}. "
        f"Medians of {size['rounds']} rounds in turns ({size['crowd_rounds']} where there are many connections), "
        f"{size['seconds']} s each; {size['subscribers']:,} subscribers of 1 topic; {size['crowd']:,} connections on "
        f"{size['crowd_topics']:,} topics, and on a topic each; frames of 250 bytes.{busy}\n\nVersions: {versions}."
    )


def _table(results: Results, columns: Sequence[Column]) -> str:
    shown = [
        column for column in columns if any(results.median(peer, column.name) is not None for peer in results.titles)
    ]
    if not shown:
        return ""
    lines = ["| | " + " | ".join(column.title for column in shown) + " |", "| --- |" + " ---: |" * len(shown)]
    for peer, title in results.titles.items():
        if any(results.median(peer, column.name) is not None for column in shown):
            lines.append(f"| {title} | " + " | ".join(_cell(results, peer, column) for column in shown) + " |")
    return "\n".join(lines)


def _cell(results: Results, peer: str, column: Column) -> str:
    value = results.median(peer, column.name)
    if value is None:
        return "-"
    text = column.write(value)
    subject = results.subject
    ratio = results.ratio(peer, subject, column.name) if column.ratio and subject and peer != subject else None
    return text if ratio is None else f"{text} ({ratio:.2f})"
