"""Every broker obeys the contract, and the suite that says so sees a broker that does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tidings.brokers.memory import MemoryBroker
from tidings.brokers.sqlite import SQLiteBroker
from tidings.core.cursor import Cursor
from tidings.core.errors import BrokerUnavailable
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.core.numbering import LastNumber, Numbered
from tidings.core.recovery import History
from tidings.core.topics import TopicKey
from tidings.ports import Stored
from tidings.testing import BROKER_CHECKS, BrokerCheck, BrokerMaker, FakeClock, check_broker


@pytest.mark.parametrize("check", BROKER_CHECKS, ids=lambda check: check.name)
async def test_memory(check: BrokerCheck) -> None:
    clock = FakeClock()
    await check.run(BrokerMaker(lambda limits: MemoryBroker(limits, clock), clock.advance))


@pytest.mark.parametrize("check", BROKER_CHECKS, ids=lambda check: check.name)
async def test_sqlite(check: BrokerCheck, tmp_path: Path) -> None:
    clock, numbers = FakeClock(), count()
    await check.run(
        BrokerMaker(lambda limits: SQLiteBroker(tmp_path / f"{next(numbers)}.db", limits, clock), clock.advance)
    )


class Faulty(MemoryBroker):
    """A broker with a fault; each below breaks one rule."""


class _SharesTenants(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        return await super().publish(
            TopicKey(None, f"x:{key.tenant}_{key.topic}"),
            body,
            exclude=exclude,
            idempotency_key=idempotency_key,
            numbered=numbered,
        )


class _LosesExclude(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        return await super().publish(key, body, idempotency_key=idempotency_key, numbered=numbered)


class _ForgetsIdempotency(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        return await super().publish(key, body, exclude=exclude, numbered=numbered)


class _KeysOfAllTenantsTogether(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        if idempotency_key is not None and key.tenant is not None:
            key = TopicKey(None, key.topic)
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _LeavesAHole(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        self._topic(key, 0).offset += 1
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _ForgetsNumbers(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        numbered = None
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _IgnoresTokens(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        if numbered is not None:
            numbered = numbered._replace(token="")
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _SharesSources(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        if numbered is not None:
            numbered = numbered._replace(source="")
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _BeginsAfreshInTheOldEpoch(Faulty):
    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        topic = self._topic(key, 0)
        if numbered is not None and numbered.afresh and numbered.source in topic.numbers:
            topic.numbers[numbered.source] = LastNumber(numbered.number - 1, "", topic.offset)
            numbered = numbered._replace(afresh=False)
        return await super().publish(key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered)


class _ForgetsWildcards(Faulty):
    async def join(self, key: TopicKey) -> None:
        if not key.topic.endswith("*"):
            await super().join(key)


class _NeverLeaves(Faulty):
    async def leave(self, key: TopicKey) -> None:
        pass


class _IgnoresTheLimit(Faulty):
    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        return await super().history(key, since, 0)


class _HeadOfAnotherMoment(Faulty):
    async def history(self, key: TopicKey, since: Cursor, limit: int) -> History:
        history = await super().history(key, since, limit)
        return replace(history, head=Cursor(history.head.epoch, history.head.offset + 1))


class _NewEpochEachTime(Faulty):
    async def head(self, key: TopicKey) -> Cursor:
        self._topics.pop(key, None)
        return await super().head(key)


class _TalksAfterClose(Faulty):
    async def close(self) -> None:
        pass


FAULTY: list[Callable[[Limits, FakeClock], Faulty]] = [
    _SharesTenants,
    _LosesExclude,
    _ForgetsIdempotency,
    _KeysOfAllTenantsTogether,
    _LeavesAHole,
    _ForgetsNumbers,
    _IgnoresTokens,
    _SharesSources,
    _BeginsAfreshInTheOldEpoch,
    _ForgetsWildcards,
    _NeverLeaves,
    _IgnoresTheLimit,
    _HeadOfAnotherMoment,
    _NewEpochEachTime,
    _TalksAfterClose,
]


@pytest.mark.parametrize("make", FAULTY, ids=lambda make: make.__name__.strip("_"))
async def test_the_suite_sees_a_fault(
    make: Callable[[Limits, FakeClock], Faulty], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.testing.broker_rig.LIVE_SECONDS_MAX", 0.05)  # a lost message is waited for
    clock = FakeClock()
    with pytest.raises(ExceptionGroup):
        await check_broker(lambda limits: make(limits, clock), clock.advance)


async def test_check_broker_passes_a_good_one() -> None:
    clock = FakeClock()
    await check_broker(lambda limits: MemoryBroker(limits, clock), clock.advance)


async def test_a_closed_memory_broker_says_so() -> None:
    broker = MemoryBroker(Limits(), FakeClock())
    await broker.close()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await broker.publish(TopicKey(None, "gift-list:1"), b"{}")
