"""The clock of tests, and that of servers."""

from datetime import UTC, timedelta

import pytest

from tidings.engine.clock import SystemClock
from tidings.ports import Clock
from tidings.testing import FakeClock


def test_fake_clock_moves_by_hand_alone() -> None:
    clock = FakeClock()
    start, began = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == (start, began)
    clock.advance(90.5)
    assert clock.monotonic() - began == 90.5
    assert clock.now() - start == timedelta(seconds=90.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


@pytest.mark.parametrize("clock", [FakeClock(), SystemClock()])
def test_clocks_name_their_zone_and_only_grow(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
