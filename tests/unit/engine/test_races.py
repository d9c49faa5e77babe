"""Promise 1 under interleavings: a subscribe that races with 1,000 publishes on the same topic.

No sockets: the real node on virtual time, with a broker that answers late, and one whose live messages are
lost, repeated and late. Hypothesis draws who runs when.
"""

from __future__ import annotations

import asyncio
import itertools
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.engine.rig import Client, FaultyBroker, Frame, Rig, started
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.testing.virtual import run_virtual

TOPIC = "gift-list:1"
EVENTS = 1_000
TURNS = st.lists(st.integers(0, 6), min_size=1, max_size=30)
FAULTS = st.lists(st.sampled_from(["pass", "pass", "pass", "drop", "twice", "late"]), min_size=1, max_size=30)
LIMITS = Limits(hold_bytes=4_000, page_events=50)
# The run of mutations only asks whether a failure is found; shrinking it would take most of the time.
PHASES = tuple(phase for phase in Phase if phase is not Phase.shrink or "TESTS_NO_SHRINK" not in os.environ)
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=PHASES)


class Judge:
    """Reads a client's frames as its owner would; knows nothing of how they were made."""

    def __init__(self) -> None:
        self.position: int | None = None
        self.told = 0
        self.read = 0

    def look(self, frames: list[Frame]) -> None:
        for frame in frames[self.read :]:
            if frame.get("type") == "subscribed" and TOPIC in frame["topics"]:
                answer = frame["topics"][TOPIC]
                offset = int(answer["cursor"].rpartition("-")[2])
                if answer["recovered"] and self.position is not None:
                    assert offset <= self.position, "recovered, and yet it starts above what was seen"
                if not answer["recovered"]:
                    self.told += 1
                    self.position = offset
                elif self.position is None:
                    self.position = offset
            elif "type" not in frame:
                offset = int(frame["cursor"].rpartition("-")[2])
                assert frame["data"]["payload"] == offset, "an offset that names another event"
                assert self.position is not None, "an event before the answer"
                assert offset == self.position + 1, f"after {self.position} came {offset}"
                self.position = offset
        self.read = len(frames)


async def _publish_all(rig: Rig, turns: list[int]) -> None:
    pace = itertools.cycle(turns)
    for number in range(1, EVENTS + 1):
        await rig.publish(TOPIC, number)
        for _ in range(next(pace) % 3):
            await asyncio.sleep(0)


async def _ends_whole(rig: Rig, client: Client, judge: Judge) -> None:
    """After the last publish the feed looks at its position, as it does every 20 s, and all is there."""
    for _ in range(3):
        await asyncio.sleep(25)
        judge.look(client.frames)
        if judge.position == EVENTS:
            break
    assert judge.position == EVENTS
    await rig.settle()
    judge.look(client.frames)


async def _race(turns: list[int], faults: list[str], start_after: int, moves: list[int]) -> None:
    async with started(limits=LIMITS, wrap=lambda inner: FaultyBroker(inner, turns, faults)) as rig:
        base = str(await rig.broker.head(rig_key()))
        publishing = asyncio.create_task(_publish_all(rig, turns))
        for _ in range(start_after):
            await asyncio.sleep(0)
        client, judge = rig.client(), Judge()
        judge.position = 0
        client.send(type="subscribe", topics=[TOPIC], since={TOPIC: base}, id=0)
        for move in moves:  # leave and come back in mid-stream, from where we stand
            for _ in range(move):
                await asyncio.sleep(0)
            judge.look(client.frames)
            client.send(type="unsubscribe", topics=[TOPIC])
            position = f"{base.partition('-')[0]}-{judge.position}"
            client.send(type="subscribe", topics=[TOPIC], since={TOPIC: position})
        await publishing
        await _ends_whole(rig, client, judge)
        assert judge.told == 0, "history held everything, so nothing may be given up"


def rig_key() -> TopicKey:
    return TopicKey(None, TOPIC)


@EXAMPLES
@given(turns=TURNS, start_after=st.integers(0, 300), moves=st.lists(st.integers(0, 200), max_size=3))
def test_late_history(turns: list[int], start_after: int, moves: list[int]) -> None:
    run_virtual(_race(turns, ["pass"], start_after, moves))


@EXAMPLES
@given(turns=TURNS, faults=FAULTS, start_after=st.integers(0, 300), moves=st.lists(st.integers(0, 200), max_size=3))
def test_lost_repeated_and_late_messages(
    turns: list[int], faults: list[str], start_after: int, moves: list[int]
) -> None:
    run_virtual(_race(turns, faults, start_after, moves))


@EXAMPLES
@given(turns=TURNS, faults=FAULTS, start_after=st.integers(0, 300))
def test_without_a_cursor_everything_after_the_answer_comes(
    turns: list[int], faults: list[str], start_after: int
) -> None:
    async def race() -> None:
        async with started(limits=LIMITS, wrap=lambda inner: FaultyBroker(inner, turns, faults)) as rig:
            publishing = asyncio.create_task(_publish_all(rig, turns))
            for _ in range(start_after):
                await asyncio.sleep(0)
            client, judge = rig.client(), Judge()
            client.send(type="subscribe", topics=[TOPIC], id=0)
            await publishing
            await _ends_whole(rig, client, judge)
            assert judge.told == 1, "no_cursor is told once, and then nothing is given up"

    run_virtual(race())


@pytest.mark.nightly
@pytest.mark.timeout(1_200)
@settings(EXAMPLES, max_examples=3_000)
@given(turns=TURNS, faults=FAULTS, start_after=st.integers(0, 300), moves=st.lists(st.integers(0, 200), max_size=4))
def test_lost_repeated_and_late_messages_for_longer(
    turns: list[int], faults: list[str], start_after: int, moves: list[int]
) -> None:
    run_virtual(_race(turns, faults, start_after, moves))
