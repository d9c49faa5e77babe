"""The ledger of ``tidings bench``: exact for every order of arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidings.load.ledger import Account, Ledger


def account(arrivals: list[int], published: int, failed: frozenset[int] = frozenset(), told: int = 0) -> Account:
    ledger = Ledger()
    for number in arrivals:
        ledger.arrived(number)
    ledger.told(told)
    return ledger.close(published, failed)


def test_whole() -> None:
    assert account([1, 2, 3], 3) == Account(received=3, lost=0, told=0, doubled=0, reordered=0)


def test_lost_at_the_start_in_the_middle_and_at_the_end() -> None:
    assert account([2, 4], 6) == Account(received=2, lost=4, told=0, doubled=0, reordered=0)


def test_doubled_at_once_and_late() -> None:
    assert account([1, 1, 2, 3, 1], 3).doubled == 2


def test_a_late_one_is_reordered_and_not_lost() -> None:
    assert account([1, 3, 2, 4], 4) == Account(received=4, lost=0, told=0, doubled=0, reordered=1)


def test_what_the_server_said_is_told_not_lost() -> None:
    assert account([1, 5, 7], 7, told=4) == Account(received=3, lost=1, told=3, doubled=0, reordered=0)


def test_a_publication_that_failed_is_not_awaited() -> None:
    assert account([1, 3], 4, failed=frozenset({2, 4})).lost == 0


def test_nothing_after_a_connection_went_is_awaited() -> None:
    assert account([1, 2, 5], 2).lost == 0


@given(st.lists(st.integers(1, 30), max_size=80), st.sets(st.integers(1, 30)))
def test_against_counting_by_hand(arrivals: list[int], failed: set[int]) -> None:
    seen: set[int] = set()
    late = 0
    for number in arrivals:
        late += number not in seen and number < max(seen, default=0)
        seen.add(number)
    expected = Account(
        received=len(seen),
        lost=len(set(range(1, 31)) - seen - failed),
        told=0,
        doubled=len(arrivals) - len(seen),
        reordered=late,
    )
    assert account(arrivals, 30, frozenset(failed)) == expected


@given(st.lists(st.integers(1, 12), max_size=30), st.sets(st.integers(1, 12)))
def test_having_all_is_losing_none(arrivals: list[int], failed: set[int]) -> None:
    ledger = Ledger()
    for number in arrivals:
        ledger.arrived(number)
    assert ledger.has_all(12, failed) == (ledger.close(12, failed).lost == 0)
