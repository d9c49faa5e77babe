"""The session's table, and the life of a connection with time handed in."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from tidings.core import effects as e
from tidings.core import inputs as i
from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.frames import Error, Pong, ServerFrame, Welcome
from tidings.core.framing import Framed
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.core.session import FRAMES, TRANSITIONS, Session, State

ANA = Identity(user="ana", tenant="t-1")


def ignore(framed: Framed) -> None:
    """A way out that leads nowhere."""


def make(limits: Limits | None = None) -> Session:
    return Session("s-1", limits or Limits(), ignore, 0.0)


def opened(limits: Limits | None = None, *, expires_in: float | None = None) -> Session:
    session = make(limits)
    session.handle(i.Opened("token"), 0.0)
    session.handle(i.Authenticated(ANA, "2026-11-23T15:00:00.000Z", expires_in), 0.0)
    return session


def frame(**fields: Any) -> i.FrameReceived:
    return i.FrameReceived(json.dumps(fields))


def sent(effects: list[e.Effect]) -> list[ServerFrame]:
    return [effect.frame for effect in effects if isinstance(effect, e.Send)]


def closes(effects: list[e.Effect]) -> list[CloseCode]:
    return [effect.code for effect in effects if isinstance(effect, e.Close)]


def error_code(effects: list[e.Effect]) -> str:
    (error,) = [f for f in sent(effects) if isinstance(f, Error)]
    return error.code


def test_every_state_knows_every_input() -> None:
    kinds = set(get_args(i.Input))
    assert {kind for _, kind in TRANSITIONS} == kinds
    assert set(TRANSITIONS) == {(state, kind) for state in State for kind in kinds}
    assert len(FRAMES) == 6


def test_credentials_in_the_handshake_are_checked_and_welcomed() -> None:
    session = make()
    assert session.handle(i.Opened("jwt"), 0.0) == [e.Authenticate("jwt", None)]
    (welcome,) = sent(session.handle(i.Authenticated(ANA, "now", 3600.9), 1.0))
    assert isinstance(welcome, Welcome)
    assert (welcome.user, welcome.tenant, welcome.session) == ("ana", "t-1", "s-1")
    assert (welcome.heartbeat_seconds, welcome.expires_in_seconds, welcome.time) == (25, 3600, "now")


def test_frames_that_come_while_credentials_are_checked_wait_and_then_take_effect_in_order() -> None:
    session = make()
    session.handle(i.Opened("jwt"), 0.0)
    assert session.handle(frame(type="ping", id=1), 0.1) == []
    assert session.handle(frame(type="ping", id=2), 0.2) == []
    frames = sent(session.handle(i.Authenticated(ANA, "now", None), 0.3))
    assert frames[1:] == [Pong(id=1), Pong(id=2)]


def test_without_credentials_the_first_frame_must_be_auth() -> None:
    session = make()
    assert session.handle(i.Opened(None), 0.0) == []
    assert session.handle(frame(type="auth", token="jwt", id=7), 1.0) == [e.Authenticate("jwt", 7)]

    session = make()
    session.handle(i.Opened(None), 0.0)
    effects = session.handle(frame(type="subscribe", topics=["a:b"], id=9), 1.0)
    assert (error_code(effects), closes(effects)) == ("unauthorized", [CloseCode.UNAUTHORIZED])


def test_no_auth_within_ten_seconds() -> None:
    session = make()
    session.handle(i.Opened(None), 0.0)
    assert session.next_deadline() == 10
    assert session.handle(i.Ticked(0, True), 9.9) == []
    effects = session.handle(i.Ticked(0, True), 10.0)
    assert (error_code(effects), closes(effects)) == ("auth_timeout", [CloseCode.TIMEOUT])


def test_a_stranger_gets_little_room() -> None:
    session = make()
    session.handle(i.Opened(None), 0.0)
    effects = session.handle(frame(type="auth", token="x" * 9_000), 0.0)
    assert closes(effects) == [CloseCode.TOO_LARGE]


def test_silence_of_sixty_seconds_is_closed_and_pongs_are_no_silence() -> None:
    session = opened()
    session.handle(i.Ticked(0, True), 25.0)
    session.handle(i.Ticked(0, True), 50.0)
    session.handle(i.Heard(), 55.0)
    assert closes(session.handle(i.Ticked(0, True), 100.0)) == []
    assert closes(session.handle(i.Ticked(0, True), 115.0)) == [CloseCode.TIMEOUT]
    assert closes(opened().handle(i.Ticked(0, sees_pongs=False), 300.0)) == [], "the ASGI server judges there"


def beat(session: Session, now: float, pushed_count: int) -> list[e.Effect]:
    session.handle(i.Heard(), now)
    return session.handle(i.Ticked(pushed_count, True), now)


def test_the_server_speaks_after_25_seconds_of_its_own_silence() -> None:
    session = opened()
    assert session.next_deadline() == 12.5
    assert beat(session, 12.5, 0) == []
    assert session.next_deadline() == 25
    assert beat(session, 25.0, 0) == [e.Send(Pong()), e.SendPing()]
    assert beat(session, 37.5, 1) == [], "our own pong is no news"
    assert beat(session, 50.0, 1) == [e.Send(Pong()), e.SendPing()]


def test_events_are_life_enough_and_never_a_longer_silence() -> None:
    """An event right after a look must not make the next silence longer than a heartbeat."""
    session = opened()
    assert beat(session, 12.5, 0) == []
    assert beat(session, 25.0, 5) == [e.SendPing()], "five events went out after 12.5 s"
    assert beat(session, 37.5, 5) == [e.Send(Pong())], "the last of them may be 25 s old by now"
    assert beat(session, 50.0, 7) == [e.SendPing()]


def test_a_token_that_expires_is_told_then_closed_after_the_grace() -> None:
    session = opened(expires_in=20)
    assert session.next_deadline() == 12.5
    session.handle(i.Ticked(0, True), 12.5)
    assert session.next_deadline() == 20
    assert error_code(session.handle(i.Ticked(0, True), 20.0)) == "token_expired"
    session.handle(i.Heard(), 40.0)
    assert closes(session.handle(i.Ticked(0, True), 49.0)) == []
    effects = session.handle(i.Ticked(0, True), 50.0)
    assert (error_code(effects), closes(effects)) == ("unauthorized", [CloseCode.UNAUTHORIZED])


def test_a_renewed_token_keeps_the_session() -> None:
    session = opened(expires_in=20)
    assert session.handle(frame(type="auth", token="new", id=3), 10.0) == [e.Authenticate("new", 3)]
    (welcome,) = sent(session.handle(i.Authenticated(ANA, "later", 100.0, 3), 11.0))
    assert isinstance(welcome, Welcome)
    assert (welcome.session, welcome.id) == ("s-1", 3)
    assert closes(session.handle(i.Ticked(0, True), 55.0)) == []


@pytest.mark.parametrize("other", [Identity(user="ben", tenant="t-1"), Identity(user="ana", tenant="t-2")])
def test_a_renewal_may_not_change_who_it_is(other: Identity) -> None:
    effects = opened().handle(i.Authenticated(other, "now", None, 3), 1.0)
    assert (error_code(effects), closes(effects)) == ("identity_changed", [CloseCode.FORBIDDEN])


def test_a_refused_renewal_leaves_the_old_token_in_force() -> None:
    session = opened(expires_in=100)
    effects = session.handle(i.Refused(PeerError(ErrorCode.UNAUTHORIZED), 4), 1.0)
    assert (error_code(effects), closes(effects)) == ("unauthorized", [])
    assert session.handle(frame(type="ping"), 2.0) == [e.Send(Pong())]


def test_a_fault_of_the_authenticator_is_ours_not_the_clients() -> None:
    session = make()
    session.handle(i.Opened("jwt"), 0.0)
    assert closes(session.handle(i.Refused(PeerError(ErrorCode.INTERNAL)), 0.0)) == [CloseCode.INTERNAL_ERROR]


def test_too_many_frames_a_second_are_cut_off() -> None:
    session = opened(Limits(frames_per_second=5))
    for _ in range(10):
        assert closes(session.handle(frame(type="ping"), 1.0)) == []
    effects = session.handle(frame(type="ping"), 1.0)
    assert (error_code(effects), closes(effects)) == ("rate_limited", [CloseCode.TOO_MANY_REQUESTS])


def test_too_many_publishes_are_refused_and_the_connection_stays() -> None:
    session = opened(Limits(publishes_per_second=1))
    event = {"type": "publish", "topic": "a:b", "event": "X", "data": {"entity_id": "1"}, "id": 1}
    for _ in range(2):
        assert isinstance(session.handle(frame(**event), 1.0)[0], e.Store)
    effects = session.handle(frame(**event), 1.0)
    assert (error_code(effects), closes(effects)) == ("rate_limited", [])


def test_a_client_that_sends_only_rubbish_is_cut_off() -> None:
    session = opened(Limits(bad_frames_per_minute=3))
    for _ in range(3):
        assert closes(session.handle(i.FrameReceived("{"), 1.0)) == []
    assert closes(session.handle(i.FrameReceived("{"), 1.0)) == [CloseCode.TOO_MANY_REQUESTS]


def test_after_the_end_nothing_follows() -> None:
    session = opened()
    session.handle(frame(type="subscribe", topics=["a:b"]), 0.0)
    assert closes(session.handle(i.Ended(CloseCode.TOO_SLOW, "slow"), 1.0)) == [CloseCode.TOO_SLOW]
    assert session.closed
    assert session.handle(frame(type="ping"), 2.0) == []
    assert session.handle(i.Gone(), 2.0) == []


def test_a_draining_server_says_when_to_come_back_and_goes_on_until_then() -> None:
    session = opened()
    effects = session.handle(i.Draining(10_000), 1.0)
    assert [frame.encode() for frame in sent(effects)] == [b'{"type":"reconnect","topic":"system","delay_ms":10000}']
    assert not closes(effects)
    assert session.handle(frame(type="ping"), 2.0) == [e.Send(Pong())]
    waiting = make()
    waiting.handle(i.Opened(None), 0.0)
    assert closes(waiting.handle(i.Draining(10_000), 1.0)) == [CloseCode.SERVICE_RESTART]
