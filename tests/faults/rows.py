"""The failure table: which test holds each row, and why not where none does. ``python -m tests.faults.rows`` prints it.

A test whose name carries the row, as ``test_f08_…`` does, is found by itself. ``ELSEWHERE`` names tests of other
names that hold a row too, or alone: ``path::test``, where the test of a scenario or of Vitest is named by its title.
``NOT_YET`` gives the reason of a row that no test holds.
"""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(r"_(f\d\d)(?=_)")

ROWS = {
    "F01": "subscribe races with publish",
    "F02": "cut in the midst of a frame",
    "F03": "history trimmed past the position",
    "F04": "history trimmed while it is read",
    "F05": "the epoch changed",
    "F06": "a position above the head",
    "F07": "a new epoch with an old offset",
    "F08": "the server restarts with its data",
    "F09": "the server restarts without its data",
    "F10": "a failover of the broker loses acknowledged writes",
    "F11": "the broker's subscription is killed",
    "F12": "one live message lost",
    "F13": "the last live message lost, then silence",
    "F14": "the broker's connection is alive and delivers nothing",
    "F15": "live messages twice and out of order",
    "F16": "a publish repeated, the first one was stored",
    "F17": "the outcome of a publish unknown, the caller gives up",
    "F18": "a repeat after the time of its key",
    "F19": "a process killed between storing and telling",
    "F20": "telling before storing",
    "F21": "nodes whose clocks differ by ten minutes",
    "F22": "a clock that jumps",
    "F23": "half-open connections",
    "F24": "a laptop that slept",
    "F25": "an idle connection forgotten by a NAT",
    "F26": "nginx with its default timeout of 60 s",
    "F27": "a load balancer with an idle timeout of 60 s",
    "F28": "a network that cuts after 100 s of silence",
    "F29": "first byte within 30 s, then 55 s",
    "F30": "connections that live 30 s, busy or not",
    "F31": "AWS API Gateway: 2 h, frames of 32 KB",
    "F32": "a proxy that buffers streams",
    "F33": "gzip on streams",
    "F34": "seven tabs of streams over HTTP/1.1",
    "F35": "streams over HTTP/2, lost together",
    "F36": "the upgrade stripped",
    "F37": "a captive portal",
    "F38": "a change of transport in mid-stream",
    "F39": "SIGTERM",
    "F40": "two versions side by side",
    "F41": "a thundering herd",
    "F42": "a recovery storm on one topic",
    "F43": "a slow reader",
    "F44": "a slow reader in recovery",
    "F45": "a token that expires in mid-connection",
    "F46": "a permission withdrawn",
    "F47": "a user logs out in another tab",
    "F48": "two tabs of one user",
    "F49": "a frozen tab",
    "F50": "a page from the back-forward cache",
    "F51": "a handler that throws",
    "F52": "unsubscribe and subscribe inside a handler",
    "F53": "unsubscribe races with an event",
    "F54": "subscribed twice, or by name and wildcard",
    "F55": "a subscription storm",
    "F56": "a late reply of an old session",
    "F57": "an event larger than the limits",
    "F58": "a poison event in the outbox",
    "F59": "a long transaction holds an early id",
    "F60": "commits out of order with ids",
    "F61": "the relay killed between publish and mark",
    "F62": "two relays at once",
    "F63": "a savepoint rolled back",
    "F64": "a session joined to a transaction that rolls back",
    "F65": "the disk is full",
    "F66": "the database is locked",
    "F67": "a failover of the database",
    "F68": "the relay reads from a replica",
    "F69": "the relay's connection dies after COMMIT",
    "F70": "times without a zone",
    "F71": "offsets beyond 2^53 in JavaScript",
    "F72": "deep nesting from a client",
}

_SIMULATION = "tests/simulation/test_simulation.py::test_seeds"
_NGINX = "tests/conformance/test_behind_nginx.py"
_PAGE = "tests/browser/test_page_life.py"

ELSEWHERE = {
    "F01": ["tests/unit/engine/test_races.py::test_late_history", _SIMULATION],
    "F02": ["tests/clients/test_python_ladder.py::test_cuts_in_the_midst_of_records_lose_nothing"],
    "F03": ["tests/unit/engine/test_subscriptions.py::test_why_it_was_not_recovered"],
    "F07": [
        "tests/unit/core/test_vectors.py::test_cursor",
        "spec/scenarios/positions.json::recovered, but from elsewhere",
    ],
    "F12": ["tests/unit/engine/test_races.py::test_lost_repeated_and_late_messages", _SIMULATION],
    "F13": [_SIMULATION],
    "F15": ["tests/unit/engine/test_races.py::test_lost_repeated_and_late_messages", _SIMULATION],
    "F16": ["tests/clients/test_python_restarts.py::test_a_publish_whose_answer_is_lost_is_repeated_and_stored_once"],
    "F21": [_SIMULATION],
    "F22": ["tests/unit/core/test_session.py::test_a_token_that_expires_is_told_then_closed_after_the_grace"],
    "F23": ["js/test/poll-lost.test.ts::a poll that is never answered is asked again"],
    "F24": ["tests/browser/test_sleep.py::test_a_browser_that_stood_still_ends_whole"],
    "F26": [f"{_NGINX}::test_a_silent_stream_outlives_the_default_of_60_seconds"],
    "F29": ["tests/conformance/test_poll.py::test_it_is_held_no_longer_than_proxies_wait"],
    "F32": [f"{_NGINX}::test_each_event_comes_through_at_once"],
    "F33": ["tests/conformance/test_sse_end.py::test_gzip_neither_compresses_nor_holds_back"],
    "F38": [
        "spec/scenarios/ladder.json::both alive: only one delivers, and nothing comes twice",
        "tests/clients/test_python_ladder.py::test_the_transport_changes_again_and_again_under_load",
        "js/test/against-server.test.ts::through cuts and changes of transport nothing is lost",
    ],
    "F39": ["tests/conformance/test_streams_end.py::test_a_signal_ends_streams_and_polls_and_the_process"],
    "F41": ["tests/unit/engine/test_drain.py::test_five_thousand_clients_are_spread_over_the_window"],
    "F45": [
        "tests/unit/core/test_session.py::test_a_token_that_expires_is_told_then_closed_after_the_grace",
        "tests/unit/core/test_session.py::test_a_renewed_token_keeps_the_session",
    ],
    "F49": [f"{_PAGE}::test_a_page_that_was_frozen_ends_whole"],
    "F50": [f"{_PAGE}::test_a_page_restored_from_the_back_forward_cache_ends_whole"],
    "F51": [
        "js/test/client.test.ts::one that throws is told, and the others are called",
        "tests/unit/client/test_stream.py::test_a_gap_stands_in_its_place_and_what_raises_in_on_gap_ends_nothing",
    ],
    "F52": ["js/test/handlers-again.test.ts::one that leaves and joins again while it is called: each event once"],
    "F56": [
        "spec/scenarios/close_codes.json::a close of an older dial is not heard",
        "spec/scenarios/subscriptions.json::an answer to an older question is not heard",
    ],
    "F57": [
        "tests/unit/http/test_http.py::test_bad_input_publishes_nothing",
        "spec/scenarios/publish.json::larger than the server takes",
    ],
    "F70": ["tests/unit/test_server.py::test_a_timestamp_without_a_zone_is_the_callers_mistake"],
    "F71": ["tests/unit/core/test_vectors.py::test_cursors_compare", "js/test/vectors.test.ts::"],
    "F72": ["tests/conformance/test_bad_input.py::test_frames_that_are_not_good_leave_the_connection_open"],
}  # fmt: skip

NOT_YET = {
    "F10": "there is no broker yet that fails over; the position above the head that it leaves is F06",
    "F11": "there is no broker yet whose subscription can be killed; the engine's part is drilled in the simulation",
    "F14": "there is no broker yet with a connection for live messages of its own",
    "F31": "a matter of documentation: the connection's end is F30, its frames are below the limits",
    "F34": "tabs do not share a connection yet; the seventh stream waits, and its client falls to polls",
    "F35": "no server of ours speaks HTTP/2 by itself; all that come back at once is F41",
    "F40": "there is no released version yet",
    "F46": "a permission is withdrawn by a new token, or when a poll asks again; there is no order to withdraw",
    "F48": "tabs do not share a connection yet; each has positions of its own",
    "F68": "no replica can be made in these tests yet; the check is in outbox/ledger.py",
    "F69": "its outcome, marked or not, is that of F61; a cut at that moment is not made yet",
}


@cache
def named() -> list[tuple[str, str]]:
    """Row and test, for each test whose name carries rows."""
    return [
        (row.upper(), f"{path.relative_to(ROOT)}::{name}")
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in functions(path)
        for row in _ROW.findall(name)
    ]


@cache
def functions(path: Path) -> list[str]:
    """The tests that a file of Python defines."""
    tree = ast.parse(path.read_text())
    made = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in made if name.startswith("test")]


def exists(test: str) -> bool:
    """Whether there is a test of this name."""
    place, _, name = test.partition("::")
    path = ROOT / place
    if not path.exists():
        return False
    if path.suffix == ".py":
        return name in functions(path)
    text = path.read_text()
    return name in text if path.suffix == ".ts" else name in _titles(text)


def _titles(text: str) -> list[str]:
    held = json.loads(text)
    return [one["name"] for one in (held["scenarios"] if isinstance(held, dict) else held)]


def table() -> dict[str, list[str]]:
    """Every row with its tests, those that carry its name first."""
    found: dict[str, list[str]] = {row: [] for row in ROWS}
    for row, test in named():
        found[row].append(test)
    for row, tests in ELSEWHERE.items():
        found[row] += tests
    return found


if __name__ == "__main__":
    for row, tests in table().items():
        print(f"{row}  {ROWS[row]}", *(tests or [f"not yet: {NOT_YET[row]}"]), sep="\n     ")
