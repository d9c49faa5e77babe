"""Every row of the failure table has a test, or a reason."""

from __future__ import annotations

import pytest

from tests.faults.rows import ELSEWHERE, NOT_YET, ROWS, exists, named, table


@pytest.mark.parametrize("row", ROWS)
def test_the_row_has_a_test_or_a_reason(row: str) -> None:
    tests = table()[row]
    assert bool(tests) != (row in NOT_YET), f"{row}: {tests or 'no test'}, and the reason: {NOT_YET.get(row)}"
    missing = [test for test in tests if not exists(test)]
    assert not missing, f"{row} names what is not there"


def test_there_are_no_other_rows() -> None:
    assert list(ROWS) == [f"F{number:02}" for number in range(1, 73)]
    assert {row for row, _ in named()} | set(ELSEWHERE) | set(NOT_YET) <= set(ROWS)


@pytest.mark.parametrize(
    "test",
    [
        "tests/faults/test_rows.py::test_nothing",
        "tests/faults/no.py::test_nothing",
        "spec/scenarios/ladder.json::nothing",
        "js/test/ladder.test.ts::no such title",
    ],
)
def test_what_is_not_there_is_found_out(test: str) -> None:
    assert not exists(test)
