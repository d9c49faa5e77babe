"""One connection's life. Inputs in, effects out; every transition stands in TRANSITIONS, at the end.

    effects = session.handle(FrameReceived(text), now)

The driver carries the effects out in order, and hands what comes of them back as inputs. It must call
``handle(Ticked(...))`` when ``next_deadline()`` has passed, and ``handle(Gone())`` once when the transport
is closed, whoever closed it. ``now`` is seconds of a clock that only grows.

What subscriptions go through stands in :mod:`.interest`; this file knows only frames and deadlines.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from tidings.core import inputs as i
from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.deadlines import Deadlines, Due
from tidings.core.effects import (
    Authenticate,
    Close,
    Detach,
    Effect,
    Send,
    SendPing,
    Store,
)
from tidings.core.errors import PeerError
from tidings.core.frames import (
    Auth,
    Error,
    FrameError,
    FrameId,
    Ping,
    Pong,
    Presence,
    Publish,
    Published,
    Reconnect,
    Subscribe,
    Unsubscribe,
    echo,
)
from tidings.core.framing import Framed
from tidings.core.gate import Gate
from tidings.core.identity import Identity
from tidings.core.interest import Interest
from tidings.core.limits import Limits
from tidings.core.seats import FINAL_CLOSES


class State(Enum):
    """Where a connection is in its life."""

    NEW = "new"
    AWAITING_AUTH = "awaiting_auth"  # open, without credentials: the first frame must be auth
    AUTHENTICATING = "authenticating"  # credentials are being checked; frames wait
    OPEN = "open"
    CLOSED = "closed"


class Session:
    """The state of one connection; ``push`` is where the hub's events leave it."""

    __slots__ = (
        "_deadlines", "_gate", "_interest", "_limits", "id", "identity", "push", "state",
    )  # fmt: skip

    def __init__(self, session_id: str, limits: Limits, push: Callable[[Framed], None], now: float) -> None:
        self.id = session_id
        self.state = State.NEW
        self.identity: Identity | None = None
        self.push = push
        self._limits = limits
        self._deadlines = Deadlines(limits, now)
        self._gate = Gate(limits, now)
        self._interest = Interest(self, limits)

    @property
    def user(self) -> str | None:
        """Who is connected, once that is known."""
        return None if self.identity is None else self.identity.user

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self.state is State.CLOSED

    def holds(self, topic: str) -> bool:
        """Whether publications of the topic reach this session by its name."""
        return self._interest.holds(topic)

    def handle(self, input: i.Input, now: float) -> list[Effect]:
        """Take one input; you must carry the effects out in their order."""
        return TRANSITIONS[self.state, type(input)](self, input, now)

    def next_deadline(self) -> float:
        """When Ticked is due: you should call it then, or soon after."""
        if self.state is State.AWAITING_AUTH or self.state is State.AUTHENTICATING:
            return self._deadlines.auth_at
        return self._deadlines.next()

    # Opening and authentication.

    def _opened(self, event: i.Opened, now: float) -> list[Effect]:
        if event.token is None:
            self.state = State.AWAITING_AUTH
            return []
        self.state = State.AUTHENTICATING
        return [Authenticate(event.token, None)]

    def _first_frame(self, event: i.FrameReceived, now: float) -> list[Effect]:
        try:
            frame = self._gate.read_first(event.text)
        except FrameError as fault:
            return self._fault(fault, fault.frame_id)
        self.state = State.AUTHENTICATING
        return [Authenticate(frame.token, frame.id)]

    def _wait(self, event: i.FrameReceived, now: float) -> list[Effect]:
        try:
            self._gate.keep(event.text)
        except FrameError as fault:
            return self._fault(fault, fault.frame_id)
        return []

    def _authenticated(self, event: i.Authenticated, now: float) -> list[Effect]:
        self.state = State.OPEN
        self._take(event, now)
        effects: list[Effect] = [Send(event.welcome(self.id, self._limits))]
        for text in self._gate.kept():
            if self.state is State.OPEN:
                effects += self._frame(i.FrameReceived(text), now)
        return effects

    def _renewed(self, event: i.Authenticated, now: float) -> list[Effect]:
        assert self.identity is not None
        if not self.identity.same_person(event.identity):
            return self._refuse(PeerError(ErrorCode.IDENTITY_CHANGED), event.frame_id, CloseCode.FORBIDDEN)
        self._take(event, now)
        return [Send(event.welcome(self.id, self._limits)), *self._interest.look_again()]

    def _take(self, event: i.Authenticated, now: float) -> None:
        self.identity = event.identity
        self._deadlines.authenticated(now, event.expires_in)

    def _refused(self, event: i.Refused, now: float) -> list[Effect]:
        code = CloseCode.INTERNAL_ERROR if event.fault.code.fault == "server" else CloseCode.UNAUTHORIZED
        return self._refuse(event.fault, event.frame_id, event.fault.close or code)

    def _refused_when_open(self, event: i.Refused, now: float) -> list[Effect]:
        """A renewal failed: the old token still holds, unless the fault itself ends the connection."""
        return self._fault(event.fault, event.frame_id)

    # Frames.

    def _frame(self, event: i.FrameReceived, now: float) -> list[Effect]:
        self._deadlines.heard(now)
        try:
            frame = self._gate.read(event.text, now)
        except FrameError as fault:
            self._gate.count_bad(fault, now)
            return self._fault(fault, fault.frame_id)
        try:
            return FRAMES[type(frame)](self, frame, now)
        except PeerError as fault:
            self._gate.count_bad(fault, now)
            return self._fault(fault, frame.id)

    def _subscribe(self, frame: Subscribe, now: float) -> list[Effect]:
        return self._interest.subscribe(frame, None if self.identity is None else self.identity.tenant)

    def _ping(self, frame: Ping, now: float) -> list[Effect]:
        return [Send(Pong(id=echo(frame.id)))]

    def _auth(self, frame: Auth, now: float) -> list[Effect]:
        return [Authenticate(frame.token, frame.id)]

    def _publish(self, frame: Publish, now: float) -> list[Effect]:
        try:
            self._gate.check_publish(frame.draft.topic, now)
        except PeerError as fault:
            return [_error(fault, frame.id)]  # no bad frame, only a fast client
        return [Store(frame.draft, frame.idempotency_key, frame.id)]

    def _stored(self, event: i.Stored, now: float) -> list[Effect]:
        if event.frame_id is None:
            return []
        return [Send(Published(topic=event.topic, cursor=str(event.cursor), id=event.frame_id))]

    def _store_refused(self, event: i.StoreRefused, now: float) -> list[Effect]:
        return [_error(event.fault, event.frame_id)]

    def _heard(self, event: i.Heard, now: float) -> list[Effect]:
        self._deadlines.heard(now)
        return []

    # Deadlines.

    def _auth_late(self, event: i.Ticked, now: float) -> list[Effect]:
        if now < self.next_deadline():
            return []
        fault = PeerError(ErrorCode.AUTH_TIMEOUT, f"No credentials were accepted within {self._limits.auth_seconds} s.")
        return self._refuse(fault, None, CloseCode.TIMEOUT)

    def _tick(self, event: i.Ticked, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for due in self._deadlines.look(now, event.pushed_count, sees_pongs=event.sees_pongs):
            match due:
                case Due.SILENT:
                    return self._end(CloseCode.TIMEOUT, f"nothing came for {self._limits.silence_seconds} s")
                case Due.EXPIRED:
                    return self._refuse(PeerError(ErrorCode.UNAUTHORIZED, "The token has expired."), None)
                case Due.EXPIRING:
                    effects.append(_error(PeerError(ErrorCode.TOKEN_EXPIRED), None))
                case Due.SPEAK:
                    effects.append(Send(Pong()))
                case Due.PING:
                    effects.append(SendPing())
        self._deadlines.sent(sum(isinstance(effect, Send) for effect in effects))
        return effects

    # The end.

    def _drain(self, event: i.Draining, now: float) -> list[Effect]:
        """The client goes on getting events until it moves, at its own moment within the window."""
        return [Send(Reconnect(delay_ms=event.delay_ms))]

    def _drain_early(self, event: i.Draining, now: float) -> list[Effect]:
        """It holds nothing yet: it may as well begin at another server."""
        return [*self._drain(event, now), *self._end(CloseCode.SERVICE_RESTART, "the server restarts")]

    def _ended(self, event: i.Ended, now: float) -> list[Effect]:
        return self._end(event.code, event.reason)

    def _gone(self, event: i.Gone, now: float) -> list[Effect]:
        self.state = State.CLOSED
        return self._interest.clear(is_held=not event.goodbye)

    def _end(self, code: CloseCode, reason: str) -> list[Effect]:
        self.state = State.CLOSED
        return [*self._interest.clear(is_held=code not in FINAL_CLOSES), Close(code, reason)]

    def _fault(self, fault: PeerError, frame_id: FrameId | None) -> list[Effect]:
        """Answer, and end where the fault has a close code."""
        return [_error(fault, frame_id)] if fault.close is None else self._refuse(fault, frame_id, fault.close)

    def _refuse(
        self, fault: PeerError, frame_id: FrameId | None, code: CloseCode = CloseCode.UNAUTHORIZED
    ) -> list[Effect]:
        return [_error(fault, frame_id), *self._end(code, fault.code.value)]

    def _late(self, event: i.Input, now: float) -> list[Effect]:
        """An answer to what is no longer asked, or anything after the end: nothing follows."""
        return []

    def _late_attached(self, event: i.Attached, now: float) -> list[Effect]:
        return [Detach(event.subscription)]

    def _out_of_order(self, event: i.Input, now: float) -> list[Effect]:
        raise AssertionError(f"the driver handed {type(event).__name__} to a session that is {self.state.value}")


def _error(fault: PeerError, frame_id: FrameId | None) -> Send:
    return Send(Error.of(fault, frame_id))


_Handler = Callable[[Session, Any, float], "list[Effect]"]


def _interest(handler: Callable[[Interest, Any], list[Effect]]) -> _Handler:
    return lambda session, event, now: handler(session._interest, event)


FRAMES: dict[type, _Handler] = {
    Subscribe: Session._subscribe,
    Unsubscribe: _interest(Interest.unsubscribe),
    Ping: Session._ping,
    Auth: Session._auth,
    Publish: Session._publish,
    Presence: lambda session, frame, now: session._interest.be_present(frame, now),
}

_ANSWERS: dict[type, _Handler] = {
    i.Authorized: _interest(Interest.authorized),
    i.Located: _interest(Interest.located),
    i.Attached: _interest(Interest.attached),
    i.PageRead: _interest(Interest.page_read),
    i.Broken: _interest(Interest.broken),
    i.Stored: Session._stored,
    i.StoreRefused: Session._store_refused,
    i.PresenceAuthorized: _interest(Interest.presence_authorized),
}
_NEVER: dict[type, _Handler] = dict.fromkeys(_ANSWERS, Session._out_of_order)
_END: dict[type, _Handler] = {i.Draining: Session._drain_early, i.Ended: Session._ended, i.Gone: Session._gone}

_ROWS: dict[State, dict[type, _Handler]] = {
    State.NEW: {
        **_NEVER,
        **_END,
        i.Opened: Session._opened,
        i.FrameReceived: Session._out_of_order,
        i.Heard: Session._heard,
        i.Authenticated: Session._out_of_order,
        i.Refused: Session._refused,  # the handshake's decision, such as a foreign origin
        i.Ticked: Session._late,
    },
    State.AWAITING_AUTH: {
        **_NEVER,
        **_END,
        i.Opened: Session._out_of_order,
        i.FrameReceived: Session._first_frame,
        i.Heard: Session._heard,
        i.Authenticated: Session._out_of_order,
        i.Refused: Session._refused,
        i.Ticked: Session._auth_late,
    },
    State.AUTHENTICATING: {
        **_NEVER,
        **_END,
        i.Opened: Session._out_of_order,
        i.FrameReceived: Session._wait,
        i.Heard: Session._heard,
        i.Authenticated: Session._authenticated,
        i.Refused: Session._refused,
        i.Ticked: Session._auth_late,
    },
    State.OPEN: {
        **_ANSWERS,
        **_END,
        i.Draining: Session._drain,
        i.Opened: Session._out_of_order,
        i.FrameReceived: Session._frame,
        i.Heard: Session._heard,
        i.Authenticated: Session._renewed,
        i.Refused: Session._refused_when_open,
        i.Ticked: Session._tick,
    },
    State.CLOSED: {
        **dict.fromkeys([*_ANSWERS, *_END, i.Opened, i.FrameReceived, i.Heard, i.Authenticated, i.Refused, i.Ticked],
                        Session._late),
        i.Attached: Session._late_attached,
    },
}  # fmt: skip

TRANSITIONS: dict[tuple[State, type], _Handler] = {
    (state, kind): handler for state, row in _ROWS.items() for kind, handler in row.items()
}
