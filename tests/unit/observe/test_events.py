"""Session events: what is noted, what is sent together, what is dropped, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from tidings.auth.webhook_call import BackEnd, NoAnswer
from tidings.core.identity import Identity
from tidings.observe import events
from tidings.observe.events import BATCH_MAX, WAITING_MAX, SessionEvents
from tidings.testing import FakeClock

ANA = Identity(user="ana", tenant="t-1")


class FakeBackEnd:
    """Keeps what it is told; without an answer where ``is_away``."""

    def __init__(self) -> None:
        self.is_away = False
        self.calls: list[dict[str, Any]] = []

    async def ask(self, call: Mapping[str, Any], read: Callable[[int, Any], None]) -> None:
        self.calls.append(dict(call))
        if self.is_away:
            raise NoAnswer("away")
        read(204, None)

    @property
    def told(self) -> list[tuple[str, str, str | None]]:
        return [(e["event"], e["session"], e.get("topic")) for call in self.calls for e in call["events"]]


@pytest.fixture
def end() -> FakeBackEnd:
    return FakeBackEnd()


@pytest.fixture
def noted(end: FakeBackEnd) -> SessionEvents:
    return SessionEvents(cast(BackEnd, end), FakeClock())


async def test_a_life_is_told_in_one_batch_and_what_is_no_news_is_not(end: FakeBackEnd, noted: SessionEvents) -> None:
    noted.connected("s", ANA)
    noted.unsubscribed("s", "a:1")  # never was
    noted.subscribed("s", "a:1")
    noted.subscribed("s", "a:1")
    noted.unsubscribed("s", "a:1")
    noted.subscribed("s", "a:2")
    noted.disconnected("s")
    noted.disconnected("s")
    noted.disconnected("never-let-in")
    await noted.close()
    assert end.told == [
        ("connected", "s", None), ("subscribed", "s", "a:1"), ("unsubscribed", "s", "a:1"), ("subscribed", "s", "a:2"),
        ("disconnected", "s", None),
    ]  # fmt: skip
    assert len(end.calls) == 1
    assert {(e["user"], e["tenant"]) for e in end.calls[0]["events"]} == {("ana", "t-1")}


async def test_what_does_not_fit_is_dropped_counted_and_told(
    end: FakeBackEnd, noted: SessionEvents, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "GATHER_SECONDS", 0.0)
    for number in range(WAITING_MAX + 7):
        noted.connected(f"s-{number}", ANA)
    assert noted.statistics() == {"session_events_waiting": WAITING_MAX, "session_events_dropped": 7}
    assert len([record for record in caplog.records if "dropped" in record.message]) == 1
    await noted.close()
    assert len(end.calls) == WAITING_MAX / BATCH_MAX
    assert [call["dropped"] for call in end.calls[:2]] == [7, 0]
    assert noted.statistics() == {"session_events_waiting": 0, "session_events_dropped": 7}


async def test_a_batch_without_an_answer_is_sent_again_whole_and_in_order(
    end: FakeBackEnd, noted: SessionEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(events, "RETRY_SECONDS", (0.001, 0.002))
    end.is_away = True
    noted.connected("s", ANA)
    async with asyncio.timeout(5):
        while len(end.calls) < 3:
            await asyncio.sleep(0)
    noted.disconnected("s")
    end.is_away = False
    end.calls.clear()
    await noted.close()
    assert list(dict.fromkeys(end.told)) == [("connected", "s", None), ("disconnected", "s", None)]


async def test_the_end_does_not_wait_for_a_back_end_that_is_away(
    end: FakeBackEnd, noted: SessionEvents, caplog: pytest.LogCaptureFixture
) -> None:
    end.is_away = True
    noted.connected("s", ANA)
    async with asyncio.timeout(5):
        await noted.close()
    assert len(end.calls) == 1
    assert "1 session events were not sent: away" in caplog.text
