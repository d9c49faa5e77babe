"""A server's time, moved by a test: heartbeats, tokens that end, silence, history's age."""

from __future__ import annotations

from typing import Any

import pytest

from tidings import Identity, Tidings, UsageError, testing
from tidings.core.codes import UnrecoveredReason

LIST = "gift-list:1"


def made(clock: testing.FakeClock | None, **options: Any) -> Tidings:
    return Tidings(authenticate=lambda _: None, authorize={"gift-list:{list_id}": True}, clock=clock, **options)


def kinds(client: testing.Client) -> list[str | None]:
    return [frame.get("type") for frame in client.frames]


async def test_the_server_speaks_after_25_seconds_of_silence() -> None:
    clock = testing.FakeClock()
    live = made(clock)
    async with testing.connect(live, user="ana") as ana:
        await testing.advance(live, 24)
        assert kinds(ana) == ["welcome"]
        await testing.advance(live, 14)
        assert kinds(ana) == ["welcome", "pong"]
        await testing.advance(live, 3_600)
        assert ana.close_code is None
        assert kinds(ana).count("pong") >= 3_600 / 38
        assert clock.monotonic() == 24 + 14 + 3_600


async def test_a_client_that_answers_no_ping_is_closed_after_60_seconds() -> None:
    live = made(testing.FakeClock())
    async with testing.connect(live, user="ana") as ana:
        ana.answers_pings = False
        await testing.advance(live, 59)
        assert ana.close_code is None
        await testing.advance(live, 14)
        assert await ana.closed() == 4408


async def test_a_token_ends_is_told_and_can_be_renewed() -> None:
    clock = testing.FakeClock()
    live = made(clock)

    def for_a_minute() -> Identity:
        return Identity(user="ana", expires_at=clock.now().timestamp() + 60)

    async with testing.connect(live, identity=for_a_minute()) as ana:
        assert ana.welcome["expires_in_seconds"] == 60
        await testing.advance(live, 62)
        assert (await ana.receive("error"))["code"] == "token_expired"
        await ana.renew(for_a_minute())
        await testing.advance(live, 50)
        assert ana.close_code is None
        await testing.advance(live, 45)  # its end, the grace of 30 seconds, and one to look
        assert await ana.closed() == 4401


async def test_history_grows_old() -> None:
    live = made(testing.FakeClock())
    async with testing.connect(live, user="eve") as eve:
        await eve.subscribe(LIST)  # a topic that is listened to keeps its position
        start = await live.cursor(LIST)
        await live.publish(LIST, "ADDED", entity_id="kite")
        await testing.advance(live, 3_590)
        async with testing.connect(live, user="ana") as ana:
            assert (await ana.subscribe(LIST, since=start))[LIST].recovered
            assert (await ana.receive_event()).entity_id == "kite"
        await testing.advance(live, 20)
        async with testing.connect(live, user="ana") as ana:
            late = await ana.subscribe(LIST, since=start)
            assert (late[LIST].recovered, late[LIST].reason) == (False, UnrecoveredReason.EXPIRED)
            await ana.nothing_arrives()


async def test_timestamps_are_the_clocks() -> None:
    live = made(testing.FakeClock())
    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe(LIST)
        await testing.advance(live, 90.5)
        await live.publish(LIST, "ADDED", entity_id="kite")
        assert (await ana.receive_event()).data.timestamp == "2026-11-23T15:01:30.500Z"


async def test_a_real_clock_cannot_be_moved() -> None:
    with pytest.raises(UsageError, match=r"Tidings\(clock=FakeClock\(\)\)"):
        await testing.advance(made(None), 1)


async def test_time_only_grows() -> None:
    with pytest.raises(ValueError, match="backwards"):
        await testing.advance(made(testing.FakeClock()), -1)
