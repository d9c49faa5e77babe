"""What waits for one loop: bounded, in order, and never dropped in silence. On virtual time."""

from __future__ import annotations

import asyncio

from tidings.client.stream import PATIENCE_SECONDS, WAITING_EVENTS_MAX, Gap, Stream
from tidings.core.events import Event, EventData
from tidings.testing.virtual import run_virtual


def event(number: int, topic: str = "gift-list:1") -> Event:
    return Event(topic=topic, event="UPDATED", data=EventData(entity_id=str(number)), cursor=f"k-{number}")


async def fill(stream: Stream, start: int, count: int) -> None:
    """As a connection does: room first, then the event."""
    for number in range(start, start + count):
        await stream.room()
        stream.put(event(number))


async def read(stream: Stream, count: int, pause_seconds: float = 0) -> list[str]:
    """Take so many events, each with some work."""
    taken: list[str] = []
    while len(taken) < count:
        news = await stream.next()
        assert news is not None
        taken.append(news.entity_id)
        if pause_seconds:
            await asyncio.sleep(pause_seconds)  # virtual: the loop's work
    return taken


def test_a_loop_that_only_needs_its_turn_gets_every_event() -> None:
    async def work() -> tuple[list[str], list[Gap], float]:
        gaps: list[Gap] = []
        stream = Stream(gaps.append)
        reading = asyncio.create_task(read(stream, 10 * WAITING_EVENTS_MAX))
        await fill(stream, 0, 10 * WAITING_EVENTS_MAX)
        return await reading, gaps, asyncio.get_running_loop().time()

    taken, gaps, seconds = run_virtual(work())
    assert taken == [str(number) for number in range(10 * WAITING_EVENTS_MAX)]
    assert (gaps, seconds) == ([], 0)


def test_a_loop_that_stays_behind_is_told_and_goes_on_with_the_newest() -> None:
    async def work() -> tuple[list[str], list[Gap], float]:
        gaps: list[Gap] = []
        stream = Stream(gaps.append)
        await fill(stream, 0, WAITING_EVENTS_MAX)
        assert gaps == []
        await fill(stream, WAITING_EVENTS_MAX, 2)
        seconds = asyncio.get_running_loop().time()
        return await read(stream, 2), gaps, seconds

    taken, gaps, seconds = run_virtual(work())
    assert taken == [str(WAITING_EVENTS_MAX), str(WAITING_EVENTS_MAX + 1)]
    assert gaps == [Gap("gift-list:1", "slow", None)]
    assert seconds == PATIENCE_SECONDS


def test_who_reads_slower_than_events_come_is_waited_for_no_longer_in_all() -> None:
    async def work() -> tuple[list[Gap], float]:
        gaps: list[Gap] = []
        stream = Stream(gaps.append)
        reading = asyncio.create_task(read(stream, 2 * WAITING_EVENTS_MAX, pause_seconds=1))
        filling = asyncio.create_task(fill(stream, 0, 2 * WAITING_EVENTS_MAX))
        await filling
        seconds = asyncio.get_running_loop().time()
        reading.cancel()
        return gaps, seconds

    _, seconds = run_virtual(work())
    assert seconds == PATIENCE_SECONDS


def test_who_has_caught_up_is_waited_for_anew() -> None:
    async def work() -> list[Gap]:
        gaps: list[Gap] = []
        stream = Stream(gaps.append)
        pause_seconds = PATIENCE_SECONDS * 0.8
        for start in (0, 2 * WAITING_EVENTS_MAX):
            filling = asyncio.create_task(fill(stream, start, 2 * WAITING_EVENTS_MAX))
            await asyncio.sleep(pause_seconds)  # virtual: the loop is busy elsewhere, behind all the time
            await read(stream, 2 * WAITING_EVENTS_MAX)
            await filling
        return gaps

    assert run_virtual(work()) == []


def test_every_topic_that_lost_something_is_told() -> None:
    async def work() -> tuple[list[str], list[str]]:
        gaps: list[Gap] = []
        stream = Stream(gaps.append)
        for number in range(WAITING_EVENTS_MAX + 1):
            stream.put(event(number, f"gift-list:{number % 3}"))
        return await read(stream, 1), [gap.topic for gap in gaps]

    assert run_virtual(work()) == ([str(WAITING_EVENTS_MAX)], ["gift-list:0", "gift-list:1", "gift-list:2"])


def test_the_end_lets_go_of_who_waits_for_room() -> None:
    async def work() -> float:
        stream = Stream(None)
        await fill(stream, 0, WAITING_EVENTS_MAX)
        waiting = asyncio.create_task(stream.room())
        await asyncio.sleep(0)
        stream.end(None)
        await waiting
        return asyncio.get_running_loop().time()

    assert run_virtual(work()) == 0


def test_a_gap_stands_in_its_place_and_what_raises_in_on_gap_ends_nothing() -> None:
    async def work() -> list[str]:
        seen: list[str] = []

        def on_gap(gap: Gap) -> None:
            seen.append(gap.reason)
            raise ValueError("the application's own fault")

        stream = Stream(on_gap)
        for news in (event(1), Gap("gift-list:1", "trimmed", "k-5"), event(6)):
            stream.put(news)
        stream.end(None)
        while (taken := await stream.next()) is not None:
            seen.append(taken.entity_id)
        return seen

    assert run_virtual(work()) == ["1", "trimmed", "6"]
