"""The signals of the end: heard beside whoever handles them, and given back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tidings.transports.stopping import StopSignals


class Host:
    """A server that handles signals, as uvicorn does."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def handle(self, number: int, _frame: FrameType | None) -> None:
        self.heard.append(number)


@pytest.fixture
def host() -> Iterator[Host]:
    one = Host()
    before = {number: signal.signal(number, one.handle) for number in (signal.SIGTERM, signal.SIGINT)}
    yield one
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_both_hear_it(host: Host, number: signal.Signals) -> None:
    stopped = asyncio.Event()
    signals = StopSignals()
    signals.watch(stopped.set)
    signals.watch(lambda: pytest.fail("once is enough"))
    signal.raise_signal(number)
    await asyncio.wait_for(stopped.wait(), 5)
    assert host.heard == [number]
    signals.release()
    assert signal.getsignal(number) == host.handle


async def test_who_came_later_keeps_the_signal_and_both_still_hear_it(host: Host) -> None:
    stops = 0

    def stop() -> None:
        nonlocal stops
        stops += 1

    first, second = StopSignals(), StopSignals()
    first.watch(stop)
    second.watch(stop)
    first.release()  # in the order in which they came: the second one's handler stands before it
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    assert host.heard == [signal.SIGTERM] and stops == 2
    first.watch(stop)  # again, above the second: no circle
    signal.raise_signal(signal.SIGTERM)
    assert host.heard == [signal.SIGTERM] * 2


async def test_a_signal_that_nobody_handles_is_left_alone(host: Host) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals = StopSignals()
    signals.watch(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "the process ends at once, and nobody waits"
    signals.release()


async def test_outside_of_the_main_thread_there_are_none(host: Host) -> None:
    async def work() -> None:
        signals = StopSignals()
        signals.watch(lambda: None)
        signals.release()

    await asyncio.to_thread(asyncio.run, work())
    assert signal.getsignal(signal.SIGTERM) == host.handle
