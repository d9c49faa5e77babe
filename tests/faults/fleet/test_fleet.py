"""Real clients, a server that is killed and drained, a network that cuts at random: 0 lost, 0 doubled, 0 reordered.

The short forms are part of every run; the long ones are nightly. One alone, with its progress:
``python -m tests.faults.fleet --broker sqlite``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.faults.fleet.checker import Verdict
from tests.faults.fleet.run import DrainReport, Plan, Report, run, run_drain

Broker = Literal["memory", "sqlite"]
BROKERS: list[Broker] = ["memory", "sqlite"]
SPREAD_MAX = 3  # times the even spread of dials over the window, in any second


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], None]]:
    """Print past pytest's capture: nobody likes to wait five minutes in silence."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="", flush=True)

    yield tell


def check_whole(verdict: Verdict, plan: Plan, publishes: int, line: str) -> None:
    """Raise AssertionError where a client did not see every event of its topics, once and in order."""
    broken = verdict.lost, verdict.doubled, verdict.reordered, verdict.restarts_untold, verdict.wrong
    assert broken == (0, 0, 0, 0, []), line
    assert (verdict.gaps_told, verdict.covered) == ({}, 0), line
    assert verdict.delivered == publishes / plan.topics * plan.clients * plan.topics_per_client, line


def check(report: Report) -> None:
    """Raise AssertionError where a promise was broken, or where the run did not show what it is for."""
    plan, verdict, line = report.plan, report.verdict, report.line
    assert report.publishes >= plan.events_per_second * plan.seconds, line
    assert (report.storm["kill"], report.storm["drain"]) == (plan.kills, plan.drains), line
    assert report.storm["connections cut"] > 0 and report.publish_repeats > 0, line
    if plan.broker == "sqlite":
        check_whole(verdict, plan, report.publishes, line)
        return
    broken = verdict.lost, verdict.doubled, verdict.reordered, verdict.restarts_untold, verdict.wrong
    assert broken == (0, 0, 0, 0, []), line
    assert set(verdict.gaps_told) == {"epoch_changed"}, line
    assert verdict.gaps_told["epoch_changed"] >= plan.clients * plan.topics_per_client, line  # each at least once


def check_drain(report: DrainReport) -> None:
    """Raise AssertionError where a client missed anything, or where they came back all at once."""
    plan, dials = report.plan, report.dials_by_second
    check_whole(report.verdict, plan, report.publishes, report.line)
    assert plan.window_seconds - 1 <= report.took_seconds <= plan.window_seconds + 5, report.line
    streaming = plan.clients * 2 / 3  # those that are not on polls
    assert sum(dials) >= streaming * 0.9, report.line
    assert max(dials) <= SPREAD_MAX * streaming / plan.window_seconds, report.line


@pytest.mark.parametrize("broker", BROKERS)
async def test_f02_f08_f09_a_small_fleet_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    """Killed twice and drained once."""
    plan = Plan(
        broker, clients=45, seconds=8, kills=2, drains=1, window_seconds=2,
        silent=False, hurry=True, settle_seconds_max=30,
    )  # fmt: skip
    check(await run(plan, tmp_path))


async def test_f39_a_drain_loses_nothing(tmp_path: Path) -> None:
    """A window of 3 s, so that the spread can be seen."""
    plan = Plan("sqlite", clients=45, seconds=5, kills=0, drains=1, window_seconds=3)
    check_drain(await run_drain(plan, tmp_path))


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broker", BROKERS)
async def test_five_hundred_clients_lose_nothing(broker: Broker, tmp_path: Path, say: Callable[[str], None]) -> None:
    """Ten kills and five drains in 120 s."""
    report = await run(Plan(broker, clients=500, seconds=120, kills=10, drains=5), tmp_path, say)
    say(report.line)
    check(report)


@pytest.mark.nightly
@pytest.mark.timeout(300)
async def test_f39_f41_a_drain_of_five_hundred(tmp_path: Path, say: Callable[[str], None]) -> None:
    """A window of 10 s: all back, and whole."""
    report = await run_drain(Plan("sqlite", clients=500, seconds=20, kills=0, drains=1, window_seconds=10), tmp_path)
    say(report.line)
    check_drain(report)
