"""Every presence store obeys the contract, and the suite that says so sees one that does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tidings.brokers.memory_presence import MemoryBoard, MemoryPresence
from tidings.brokers.sqlite_presence import SQLitePresence
from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.testing import PRESENCE_CHECKS, FakeClock, PresenceCheck, PresenceMaker, check_presence

Make = Callable[[str], MemoryPresence]


def memory(kind: type[MemoryPresence] = MemoryPresence) -> Make:
    boards: defaultdict[str, MemoryBoard] = defaultdict(MemoryBoard)
    return lambda name: kind(boards[name])


@pytest.mark.parametrize("check", PRESENCE_CHECKS, ids=lambda check: check.name)
async def test_memory(check: PresenceCheck) -> None:
    await check.run(PresenceMaker(memory(), lambda seconds: None))


@pytest.mark.parametrize("check", PRESENCE_CHECKS, ids=lambda check: check.name)
async def test_sqlite(check: PresenceCheck, tmp_path: Path) -> None:
    clock = FakeClock()
    await check.run(PresenceMaker(lambda name: SQLitePresence(tmp_path / name, clock), clock.advance))


class _SharesTenants(MemoryPresence):
    def enter(self, key: TopicKey, member: Member) -> None:
        super().enter(TopicKey(None, key.topic), member)


class _TellsOfItself(MemoryPresence):
    def enter(self, key: TopicKey, member: Member) -> None:
        super().enter(key, member)
        if self._receiver is not None:
            self._receiver.entered(key, member)


class _NeverUnwatches(MemoryPresence):
    def unwatch(self, key: TopicKey) -> None:
        pass


class _ForgetsWhoWasThere(MemoryPresence):
    def watch(self, key: TopicKey) -> None:
        self._watched.add(key)
        if self._receiver is not None:
            self._receiver.present(key, [])


class _KnowsItsOwnAlone(MemoryPresence):
    async def members(self, key: TopicKey) -> Sequence[Member]:
        return list(self._mine(key).values())


class _StaysAfterItsEnd(MemoryPresence):
    async def close(self) -> None:
        pass


class _KeepsWhoHasLeft(MemoryPresence):
    def exit(self, key: TopicKey, session: str) -> None:
        pass


FAULTY = [
    _SharesTenants, _TellsOfItself, _NeverUnwatches, _ForgetsWhoWasThere, _KnowsItsOwnAlone, _StaysAfterItsEnd,
    _KeepsWhoHasLeft,
]  # fmt: skip


@pytest.mark.parametrize("kind", FAULTY, ids=lambda kind: kind.__name__.strip("_"))
async def test_the_suite_sees_a_fault(kind: type[MemoryPresence], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidings.testing.presence_rig.NEWS_SECONDS_MAX", 0.05)
    with pytest.raises(ExceptionGroup):
        await check_presence(memory(kind), lambda seconds: None)


async def test_check_presence_passes_a_good_one() -> None:
    await check_presence(memory(), lambda seconds: None)
