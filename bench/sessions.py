"""What is measured: each session starts a server of its own and gives figures by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.peers import tokens
from bench.peers.catalog import Peer, reopening
from bench.processes import Failed, Load, Server, disk_sync_us, kernel_bytes

Figures = dict[str, float]

COMMON_DELIVERIES_PER_SECOND = 20_000  # a load that every peer can carry
MISSED_PER_TOPIC = 10
STORED_EVENTS = 2_000  # a second that is asked for; a slow disk takes longer
SETTLE_SECONDS = 2
WARM_UP_CONNECTIONS = 50
_LONG_HISTORY = {"TIDINGS_LIMIT_HISTORY_EVENTS": "10000", "TIDINGS_LIMIT_RECOVERY_EVENTS": "10000"}


@dataclass(frozen=True)
class Size:
    """How much of it.

    :ivar rounds: of the fan-out; the others run ``crowd_rounds`` times.
    :ivar subscribers: of one topic.
    :ivar crowd: connections where there are many.
    :ivar repeats: of one measurement at most, where the machine was busy with other work.
    :ivar calm_seconds: how long each waits at most until nothing else runs.
    :ivar long: whether what takes a minute is measured too.
    """

    rounds: int
    crowd_rounds: int
    seconds: float
    subscribers: int
    crowd: int
    repeats: int
    calm_seconds: float
    long: bool = False

    @property
    def crowd_topics(self) -> int:
        """So many that each has 100 subscribers."""
        return max(self.crowd // 100, 1)


SHORT = Size(rounds=3, crowd_rounds=1, seconds=0.7, subscribers=1_000, crowd=2_000, repeats=1, calm_seconds=3.0)
FULL = Size(
    rounds=5, crowd_rounds=5, seconds=2.0, subscribers=1_000, crowd=10_000, repeats=2, calm_seconds=10.0, long=True
)


@dataclass(frozen=True)
class Bench:
    """One peer at work: where its files are, and how much is asked of it."""

    peer: Peer
    size: Size
    folder: Path
    tokens_file: Path
    warm_up_tokens_file: Path

    def empty_folder(self, name: str) -> Path:
        """Where one server keeps its events, without those of the run before."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def lines(self, server: Server, connections: int, topics: int, *more: str) -> list[str]:
        """A whole plan for the load."""
        # Other users: the usual ConnectionManager goes on sending a user who has left, and comes back, his old topics.
        file = self.warm_up_tokens_file if connections == WARM_UP_CONNECTIONS else self.tokens_file
        return [
            f"port {server.port}", f"tokens {file}", f"connections {connections}", f"topics {topics}",
            f"publisher-token {tokens.make('publisher', subscribe=['bench:*'], publish=['bench:*'])}",
            *self.peer.dialect.plan(), *more,
        ]  # fmt: skip


def fan_out(bench: Bench) -> Figures:
    """One topic, and latencies at half of what it carries and at a load that all carry."""
    size = bench.size
    with Server(bench.peer, bench.folder) as server, Load(bench.lines(server, size.subscribers, 1)) as load:
        _open(load, size.subscribers)
        figures = _closed(server, load, "fanout", size.seconds)
        own = figures["fanout_w1"] / 2
        for name, per_second in (("half", own), ("common", COMMON_DELIVERIES_PER_SECOND)):
            publications = per_second / size.subscribers
            answer = _whole(load.ask(f"pace {publications:.3f} {max(size.seconds, 1.0) * 1.5}"))
            for share in ("p50", "p99", "p999"):
                figures[f"latency_{name}_{share}_us"] = answer["latency_us"][share]
            figures[f"latency_{name}_carried"] = answer["deliveries_per_second"] / per_second
        return figures


def crowd(bench: Bench) -> Figures:
    """Many connections, a hundred on a topic: how fast they are let in, what they hold, how fast they are told."""
    size = bench.size
    with Server(bench.peer, bench.folder) as server:
        with Load(bench.lines(server, WARM_UP_CONNECTIONS, 1)) as load:  # what is loaded with the first connection
            _open(load, WARM_UP_CONNECTIONS)
        with Load(bench.lines(server, size.crowd, size.crowd_topics)) as load:
            load.ask(f"idle {SETTLE_SECONDS / 2}")
            own_bytes, kernel, cpu_seconds = server.own_bytes(), kernel_bytes(), server.cpu_seconds()
            answer = _open(load, size.crowd)
            opened_cpu_seconds = server.cpu_seconds() - cpu_seconds
            load.ask(f"idle {SETTLE_SECONDS}")
            figures = {
                "setup_per_second": answer["connections_per_second"],
                "setup_cpu_us": opened_cpu_seconds / size.crowd * 1e6,
                "memory_own_bytes": (server.own_bytes() - own_bytes) / size.crowd,
                # Both ends are on this machine: one of the two is the server's.
                "memory_kernel_bytes": (kernel_bytes() - kernel) / size.crowd / 2,
            }
            return figures | _closed(server, load, "crowd", size.seconds)


def many_topics(bench: Bench) -> Figures:
    """As many topics as connections."""
    size = bench.size
    with Server(bench.peer, bench.folder) as server, Load(bench.lines(server, size.crowd, size.crowd)) as load:
        _open(load, size.crowd)
        figures: Figures = {}
        for under_way in (16, 256):
            answer = _whole(load.ask(f"run {under_way} {size.seconds}"))
            figures[f"many_topics_w{under_way}"] = answer["deliveries_per_second"]
        return figures


def recovery(bench: Bench) -> Figures:
    """The server is killed under its clients; events are published; all come back and get what they missed."""
    size, folder = bench.size, bench.empty_folder("durable")
    lines = reopening()
    with (
        Server(bench.peer, folder) as server,
        Load(bench.lines(server, size.crowd, size.crowd_topics, *lines)) as load,
    ):
        _open(load, size.crowd)
        _whole(load.ask("run 16 0.5"))
        server.restart()
        if load.ask("lost 20")["still_open"]:
            raise Failed("connections outlived their server")
        missed = load.ask(f"missed {MISSED_PER_TOPIC}")
        if missed["acknowledged"] != missed["published"]:
            raise Failed(f"only {missed['acknowledged']} of {missed['published']} publications were acknowledged")
        answer = _whole(load.ask("reopen"))
        wrong = answer["dialed"] - answer["ready"] + answer["unrecovered"]
        if wrong or answer["recovered_events"] != answer["awaited_events"]:
            raise Failed(f"not all came back whole: {answer}")
        return {
            "recovery_per_second": answer["connections_per_second"],
            "recovery_events_per_second": answer["recovered_events"] / answer["seconds"],
            "recovery_seconds": answer["seconds"],
        }


def storing(bench: Bench) -> Figures:
    """Publications a second that nobody listens to, in memory and each durable before it is answered."""
    figures: Figures = {}
    for kind in ("memory", "durable"):
        folder = bench.empty_folder(kind)
        figures[f"{kind}_sync_us"] = disk_sync_us(folder)
        for publishers in (1, 64):
            each = round(STORED_EVENTS * bench.size.seconds / publishers) + 1
            plan = bench.lines
            with Server(bench.peer, folder) as server, Load(plan(server, publishers, publishers, *reopening())) as load:
                answer = load.ask(f"speak {each}")
                if answer["acknowledged"] != answer["published"]:
                    raise Failed(f"only {answer['acknowledged']} of {answer['published']} were acknowledged")
                figures[f"{kind}_w{publishers}"] = answer["published"] / answer["seconds"]
    return figures


def stalled(bench: Bench) -> Figures:
    """One subscriber in ten stops reading: what the others notice, and what becomes of the one."""
    subscribers, per_second, calm_seconds, seconds = 200, 100, 4, 20
    lines = ["frame-bytes 4096", "receive-buffer-bytes 4096", *reopening()]
    with (
        Server(bench.peer.with_environment(_LONG_HISTORY), bench.folder) as server,
        Load(bench.lines(server, subscribers, 1, *lines)) as load,
    ):
        _open(load, subscribers)
        calm = _whole(load.ask(f"pace {per_second} {calm_seconds}"))
        before = server.own_bytes()
        stopped = load.ask("stall 10")["stalled"]
        slow = _whole(load.ask(f"pace {per_second} {seconds}"))
        grown = server.own_bytes() - before
        treated = load.ask("resume 5")
        back = load.ask("reopen")
        return {
            "stalled_p99_ratio": slow["latency_us"]["p99"] / calm["latency_us"]["p99"],
            "stalled_calm_p99_us": calm["latency_us"]["p99"],
            "stalled_p99_us": slow["latency_us"]["p99"],
            "stalled_memory_bytes_each": grown / stopped,
            "stalled_cut_off": (treated["closed_4503"] + treated["reset"]) / stopped,
            "stalled_closed_4503": treated["closed_4503"] / stopped,
            "stalled_back_whole": 1.0 if back["lost"] == back["doubled"] == back["unrecovered"] == 0 else 0.0,
        }


@dataclass(frozen=True)
class Session:
    """A kind of measurement, and for whom."""

    name: str
    measure: Callable[[Bench], Figures]
    fits: Callable[[Peer], bool] = lambda peer: True
    many: bool = True  # connections: it runs crowd_rounds times
    long: bool = False  # left out of the short form unless it is asked for


SESSIONS: Sequence[Session] = (
    Session("fan-out", fan_out, many=False),
    Session("crowd", crowd),
    Session("many-topics", many_topics),
    Session("recovery", recovery, lambda peer: peer.recovers),
    Session("storing", storing, lambda peer: peer.recovers),
    Session("stalled", stalled, lambda peer: peer.recovers, long=True),
)


def _open(load: Load, wanted: int) -> dict[str, Any]:
    answer = load.ask("open")
    if answer["ready"] != wanted:
        raise Failed(f"{answer['ready']} of {wanted} connections were let in, {answer['failed']} failed")
    return answer


def _closed(server: Server, load: Load, name: str, seconds: float) -> Figures:
    """The rate with 1 and with 16 publications under way, and what a delivery costs the server."""
    figures: Figures = {}
    for under_way in (1, 16):
        cpu_seconds = server.cpu_seconds()
        answer = _whole(load.ask(f"run {under_way} {seconds}"))
        used_seconds = server.cpu_seconds() - cpu_seconds
        figures[f"{name}_w{under_way}"] = answer["deliveries_per_second"]
        figures[f"{name}_w{under_way}_cpu_us"] = used_seconds / max(answer["deliveries_all"], 1) * 1e6
        figures[f"{name}_w{under_way}_load_share"] = answer["load_cpu_share"]
    return figures


def _whole(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a run in which nothing went wrong. Raises Failed for any other."""
    wrong = {name: answer[name] for name in ("lost", "doubled", "reordered", "stray") if answer.get(name)}
    if wrong:
        raise Failed(f"events were not delivered whole, in order and once: {wrong}")
    if "deliveries" in answer and not answer["deliveries"]:
        raise Failed("nothing was delivered")
    return answer
