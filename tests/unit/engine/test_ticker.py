"""One timer for all deadlines."""

from __future__ import annotations

import asyncio

from tidings.engine.ticker import Ticker
from tidings.testing.virtual import LoopClock, run_virtual


class Item:
    def __init__(self, *deadlines: float | None) -> None:
        self.deadlines = list(deadlines)
        self.ticked_at: list[float] = []

    def tick(self) -> float | None:
        self.ticked_at.append(LoopClock().monotonic())
        return self.deadlines.pop(0) if self.deadlines else None


def test_items_tick_within_a_second_after_their_deadline_and_go_on_while_they_want() -> None:
    async def run() -> None:
        ticker = Ticker(LoopClock())
        once, often = Item(), Item(5.0, 7.5)
        ticker.set(once, 2.3)
        ticker.set(often, 3.0)
        await asyncio.sleep(20)
        assert once.ticked_at == [3.0]
        assert often.ticked_at == [3.0, 5.0, 8.0]
        ticker.close()

    run_virtual(run())


def test_a_deadline_moves_and_goes() -> None:
    async def run() -> None:
        ticker = Ticker(LoopClock())
        moved, dropped = Item(), Item()
        ticker.set(moved, 2.0)
        ticker.set(moved, 6.0)
        ticker.set(dropped, 2.0)
        ticker.drop(dropped)
        ticker.drop(dropped)
        await asyncio.sleep(10)
        assert (moved.ticked_at, dropped.ticked_at) == ([6.0], [])
        ticker.close()

    run_virtual(run())


def test_one_that_raises_does_not_stop_the_others() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        seen: list[object] = []
        loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))

        class Broken(Item):
            def tick(self) -> float | None:
                raise RuntimeError("a bug")

        ticker = Ticker(LoopClock())
        item = Item(4.0)
        ticker.set(Broken(), 1.0)
        ticker.set(item, 2.0)
        await asyncio.sleep(6)
        assert item.ticked_at == [2.0, 4.0]
        assert len(seen) == 1
        ticker.close()

    run_virtual(run())
