"""Rights that polls ask for: a yes holds for five seconds, for the same question only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tidings.core.identity import Identity
from tidings.ports import Action
from tidings.testing import FakeClock
from tidings.transports import poll_rights
from tidings.transports.poll_rights import REMEMBERED_SECONDS, RememberedRights

TOPIC = "gift-list:1"


class Inner:
    def __init__(self) -> None:
        self.answer = True
        self.asked: list[tuple[Identity, Action, str]] = []

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        self.asked.append((identity, action, topic))
        return self.answer


async def test_a_yes_holds_for_a_moment() -> None:
    inner, clock = Inner(), FakeClock()
    rights = RememberedRights(inner, clock)
    ana = Identity(user="ana")
    for _ in range(3):
        assert await rights.allows(ana, "subscribe", TOPIC)
    assert len(inner.asked) == 1
    inner.answer = False
    clock.advance(REMEMBERED_SECONDS - 0.1)
    assert await rights.allows(ana, "subscribe", TOPIC)
    clock.advance(0.1)
    assert not await rights.allows(ana, "subscribe", TOPIC), "a right that was taken away has ended"
    inner.answer = True
    assert await rights.allows(ana, "subscribe", TOPIC), "a no is not remembered"


@dataclass(frozen=True, kw_only=True)
class Richer(Identity):
    groups: tuple[str, ...] = ()


QUESTIONS: list[tuple[Identity, Action, str]] = [
    (Identity(user="ana"), "subscribe", TOPIC),
    (Identity(user="ana"), "publish", TOPIC),
    (Identity(user="ana"), "subscribe", "gift-list:2"),
    (Identity(user="ben"), "subscribe", TOPIC),
    (Identity(user="ana", tenant="t"), "subscribe", TOPIC),
    (Identity(user='ana","t'), "subscribe", TOPIC),
    (Identity(user="ana", subscribe=["gift-list:*"]), "subscribe", TOPIC),
    (Identity(user="ana", publish=["gift-list:*"]), "subscribe", TOPIC),
    (Identity(user="ana", claims={"role": "admin"}), "subscribe", TOPIC),
]


async def test_every_difference_that_a_rule_can_see_is_another_question() -> None:
    inner = Inner()
    rights = RememberedRights(inner, FakeClock())
    for question in QUESTIONS * 2:
        await rights.allows(*question)
    assert inner.asked == QUESTIONS


@pytest.mark.parametrize("identity", [Identity(user="ana", claims={"user": object()}), Richer(user="ana")])
async def test_what_cannot_be_compared_is_not_remembered(identity: Identity) -> None:
    inner = Inner()
    rights = RememberedRights(inner, FakeClock())
    for _ in range(2):
        await rights.allows(identity, "subscribe", TOPIC)
    assert len(inner.asked) == 2


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_rights, "GRANTS_MAX", 10)
    inner, clock = Inner(), FakeClock()
    rights: Any = RememberedRights(inner, clock)
    ana = Identity(user="ana")
    for number in range(100):
        await rights.allows(ana, "subscribe", f"gift-list:{number}")
    assert len(rights._granted_at) == 10
    clock.advance(REMEMBERED_SECONDS)
    await rights.allows(ana, "subscribe", TOPIC)
    assert len(rights._granted_at) == 1, "what has ended is let go of"
