"""Where no transport works, who holds data is told at once and then every ten seconds. On virtual time."""

from __future__ import annotations

import asyncio

from tidings.client.refetching import INTERVAL_SECONDS, Refetching
from tidings.client.stream import Stream
from tidings.testing.virtual import run_virtual


def test_at_once_then_at_intervals_and_not_a_moment_longer() -> None:
    async def work() -> list[float]:
        loop = asyncio.get_running_loop()
        told: list[float] = []
        refetching = Refetching(lambda: told.append(loop.time()))
        refetching.need(False)
        await asyncio.sleep(60)
        for _ in range(3):  # said again and again, it stays the same need
            refetching.need(True)
            await asyncio.sleep(7)
        refetching.need(False)
        await asyncio.sleep(60)
        refetching.need(True)
        refetching.stop()
        await asyncio.sleep(60)
        return told

    assert INTERVAL_SECONDS == 10
    assert run_virtual(work()) == [60, 70, 80, 141]


def test_what_raises_there_ends_nothing() -> None:
    async def work() -> int:
        told = 0

        def on_refetch() -> None:
            nonlocal told
            told += 1
            raise ValueError("the application's own fault")

        stream = Stream(None, on_refetch)
        stream.refetch()
        stream.refetch()
        stream.end(None)
        stream.refetch()
        Stream(None).refetch()
        return told

    assert run_virtual(work()) == 2
