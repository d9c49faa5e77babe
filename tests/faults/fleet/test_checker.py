"""The checker finds each kind of fault: it is shown one of each."""

from __future__ import annotations

import pytest

from tests.faults.fleet.checker import Checker, Verdict
from tests.faults.fleet.publisher import Publication

TOPIC = "gift-list:1"


def judged(log: str, *, count: int = 4, retried: int | None = None) -> Verdict:
    """The verdict on one client; ``log`` is words such as ``1@a1`` (number 1 at a-1), ``gap`` and ``gap@a1``."""
    answers = [Publication(f"a-{number}", 2 if number == retried else 1) for number in range(1, count + 1)]
    checker = Checker({TOPIC: answers})
    checker.expect("c", [TOPIC])
    for word in log.split():
        number, _, place = word.partition("@")
        cursor = f"{place[:1]}-{place[1:]}" if place else "b-0"
        checker.read([f"g c {TOPIC} epoch_changed {cursor}" if number == "gap" else f"e c {TOPIC} {number} {cursor}"])
    return checker.finish()


@pytest.mark.parametrize(
    ("log", "lost", "doubled", "reordered", "restarts_untold"),
    [
        ("1@a1 2@a2 3@a3 4@a4", 0, 0, 0, 0),
        ("1@a1 2@a2 4@a4", 1, 0, 0, 0),
        ("2@a2 3@a3 4@a4", 1, 0, 0, 0),
        ("1@a1 2@a2", 2, 0, 0, 0),
        ("1@a1 2@a2 gap", 2, 0, 0, 0),
        ("1@a1 2@a2 gap@a4", 0, 0, 0, 0),
        ("", 4, 0, 0, 0),
        ("1@a1 2@a2 2@a2 3@a3 4@a4", 0, 1, 0, 0),
        ("1@a1 2@a2 3@a3 4@a4 1@a1", 0, 1, 0, 0),
        ("1@a1 3@a3 2@a2 4@a4", 1, 0, 1, 0),
        ("1@a1 2@a2 3@b1 4@b2", 0, 0, 0, 1),
        ("1@a1 2@a2 gap 3@b1 4@b2", 0, 0, 0, 0),
        ("1@a1 2@a2 gap 4@b2", 0, 0, 0, 0),
        ("1@a1 2@a2 gap 4@b2 3@b1", 0, 0, 1, 0),
        ("1@a1 gap 3@a3 3@a3 4@a4", 0, 1, 0, 0),
    ],
)
def test_each_fault_is_counted(log: str, lost: int, doubled: int, reordered: int, restarts_untold: int) -> None:
    verdict = judged(log)
    counted = (verdict.lost, verdict.doubled, verdict.reordered, verdict.restarts_untold)
    assert counted == (lost, doubled, reordered, restarts_untold), verdict.wrong


def test_what_was_told_is_counted_apart() -> None:
    verdict = judged("1@a1 gap 4@b2")
    assert (verdict.covered, verdict.gaps_told) == (2, {"epoch_changed": 1})


def test_an_event_may_stand_in_two_epochs_where_its_outcome_was_unknown() -> None:
    log = "1@a1 2@a2 gap 2@b1 3@b2 4@b3"
    assert (judged(log, retried=2).republished, judged(log, retried=2).doubled) == (1, 0)
    assert judged(log).doubled == 1
    assert judged(log.replace("gap ", ""), retried=2).doubled == 1


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("1@a1 2@a3", "where 3 stands"),
        ("1@a1 2@a2 3@a3 4@a4 5@a5", "was never published"),
        ("1@a1 2@c7 3@c9 4@c10", "the offset before was 7"),
    ],
)
def test_one_place_holds_one_event(log: str, said: str) -> None:
    assert any(said in line for line in judged(log).wrong)
