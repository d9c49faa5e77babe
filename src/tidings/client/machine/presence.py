"""Presence on one connection: inputs in, effects out; no I/O, no clock, no timers.

It stands beside the connection's machine, which knows nothing of it. ``spec/presence/README.md`` documents each input
and effect, and holds the scripts that this machine and its TypeScript twin both follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from tidings.client.machine.values import Effect, Frame, Input, TopicError, object_of

STATE_MS = 100  # states follow one another no faster; the last one is always sent
_SLOW_MS = 1_000  # after the server said to slow down
_ID = "presence"  # of every frame of ours, so that an error is known for an answer to it

Entry = dict[str, Any]  # session, user, state


@dataclass(slots=True)
class _Room:
    """One topic on which the application is present.

    :ivar entered: a frame has gone out over this connection.
    :ivar dirty: the state has not gone out yet.
    """

    topic: str
    state: str
    members: dict[str, Entry] = field(default_factory=dict)
    wanted: bool = True
    mine: Mapping[str, Any] | None = None
    entered: bool = False
    dirty: bool = False
    not_before: float = 0
    count: int = 0
    complete: bool = True
    error: TopicError | None = None


@dataclass(frozen=True, slots=True)
class RoomView:
    """What is known of one topic; members stay as they were last known while the connection is away.

    :ivar state: ``joining``, ``live``, ``away``, ``unavailable`` or ``denied``.
    """

    members: list[Entry]
    count: int
    complete: bool
    state: str
    error: TopicError | None


class PresenceMachine:
    """Feed it inputs with the time in milliseconds; do what it answers.

    :ivar session: the name of this connection's session; None while there is none.
    """

    def __init__(self) -> None:
        self.session: str | None = None
        self._rooms: dict[str, _Room] = {}
        self._connected = False
        self._flushing = False
        self._effects: list[Effect] = []
        self._changed: dict[str, None] = {}
        self._now = 0.0

    def view(self, topic: str) -> RoomView | None:
        """What is known of a topic; None where nobody wants to be present."""
        room = self._rooms.get(topic)
        if room is None:
            return None
        return RoomView(list(room.members.values()), room.count, room.complete, room.state, room.error)

    def handle(self, input: Input, now: float) -> list[Effect]:
        """Take one input; you must do the effects in their order."""
        self._effects, self._changed, self._now = [], {}, now
        _TAKE[input["input"]](self, input)
        return [*self._effects, *({"effect": "changed", "topic": topic} for topic in self._changed)]

    # The application's inputs.

    def _enter(self, input: Input) -> None:
        topic = input["topic"]
        room = self._rooms.get(topic)
        is_new = room is None
        if room is None:
            room = self._rooms[topic] = _Room(topic, self._state_now())
        room.wanted = True
        if input.get("state") is not None:
            self._set_mine(room, input["state"])
        if is_new:
            self._tell(room)
        self._flush_soon()

    def _update(self, input: Input) -> None:
        room = self._rooms.get(input["topic"])
        if room is not None:
            self._set_mine(room, input["state"])
            self._send_states()

    def _set_mine(self, room: _Room, state: Mapping[str, Any]) -> None:
        room.mine = state
        room.dirty = room.entered
        if room.state == "live":
            self._become(room, "live")  # an error of the state before is over

    def _leave(self, input: Input) -> None:
        room = self._rooms.get(input["topic"])
        if room is not None:
            room.wanted = False
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Who leaves and enters in one moment sends nothing."""
        if not self._flushing:
            self._flushing = True
            self._effects.append({"effect": "flush"})

    def _flushed(self, input: Input) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        for room in list(self._rooms.values()):
            if not room.wanted:
                del self._rooms[room.topic]
                if room.entered:
                    self._send(room, {"leave": True})
            elif not room.entered and self.session is not None and room.state != "denied":
                room.entered = True
                self._send_state(room)
        self._send_states()

    def _send(self, room: _Room, fields: Mapping[str, Any]) -> None:
        frame = {"type": "presence", "topic": room.topic, **fields, "id": _ID}
        self._effects.append({"effect": "send", "frame": frame})

    def _send_state(self, room: _Room) -> None:
        room.dirty = False
        room.not_before = self._now + STATE_MS
        self._send(room, {} if room.mine is None else {"state": room.mine})

    def _send_states(self) -> None:
        """The states whose time has come; the timer for the others."""
        later = inf
        for room in self._rooms.values():
            if not room.dirty or not room.wanted:
                continue
            if room.not_before <= self._now:
                self._send_state(room)
            else:
                later = min(later, room.not_before)
        if later != inf:
            self._effects.append({"effect": "timer", "ms": ceil(later - self._now)})

    # The connection's.

    def _state_now(self) -> str:
        if not self._connected:
            return "away"
        return "unavailable" if self.session is None else "joining"

    def _on_connected(self, input: Input) -> None:
        self._connected = True
        self.session = input["session"]
        self._start_anew()
        if self.session is not None and self._rooms:
            self._flush()

    def _on_lost(self, input: Input) -> None:
        if self._connected:
            self._connected = False
            self.session = None
            self._start_anew()

    def _start_anew(self) -> None:
        for room in self._rooms.values():
            room.entered = room.dirty = False
            self._become(room, self._state_now())

    def _become(self, room: _Room, state: str, error: TopicError | None = None) -> None:
        if room.state != state or room.error is not error:
            room.state, room.error = state, error
            self._tell(room)

    def _tell(self, room: _Room) -> None:
        self._changed[room.topic] = None

    # Frames. Nothing in them is trusted; what is not understood is ignored.

    def _on_frame(self, input: Input) -> None:
        frame: Frame = input["frame"]
        kind, topic = frame.get("type"), frame.get("topic")
        room = self._rooms.get(topic) if isinstance(topic, str) else None
        if kind == "subscribed":
            self._on_subscribed(frame)
        elif kind == "unsubscribed":
            self._on_unsubscribed(frame)
        elif room is None:
            return
        elif kind == "error":
            self._on_error(room, frame)
        elif not room.entered:
            return
        elif kind == "members":
            self._on_members(room, frame)
        elif room.state == "live" and kind == "joined":
            self._on_joined(room, frame)
        elif room.state == "live" and kind == "left":
            self._on_left(room, frame)

    def _on_members(self, room: _Room, frame: Frame) -> None:
        members, count = frame.get("members"), frame.get("count")
        if isinstance(members, list):
            room.members = {}
            _put(room, members)
        room.complete = frame.get("complete") is not False
        room.count = count if isinstance(count, int) else len(room.members)
        room.state, room.error = "live", None
        self._tell(room)

    def _on_joined(self, room: _Room, frame: Frame) -> None:
        members = frame.get("members")
        if isinstance(members, list):
            _put(room, members)
            self._count(room)

    def _on_left(self, room: _Room, frame: Frame) -> None:
        sessions = frame.get("sessions")
        if isinstance(sessions, list):
            for session in sessions:
                if isinstance(session, str):
                    room.members.pop(session, None)
            self._count(room)

    def _count(self, room: _Room) -> None:
        if room.complete:
            room.count = len(room.members)
        self._tell(room)

    def _on_error(self, room: _Room, frame: Frame) -> None:
        if frame.get("id") != _ID:
            return
        code, message = frame.get("code"), frame.get("message")
        error: TopicError = {"code": code if isinstance(code, str) else "internal"}
        if isinstance(message, str):
            error["message"] = message
        if error["code"] == "rate_limited":
            room.dirty = True
            room.not_before = self._now + _SLOW_MS
            self._send_states()
        elif error["code"] == "no_presence":
            self._refuse(room, error)
        else:
            self._become(room, room.state, error)  # of one state alone, such as one that is too large

    def _refuse(self, room: _Room, error: TopicError) -> None:
        room.entered = room.dirty = False
        room.members = {}
        room.count, room.complete = 0, True
        self._become(room, "denied", error)

    def _on_subscribed(self, frame: Frame) -> None:
        """A topic that was refused before is held now."""
        if frame.get("id") is None:
            return
        for topic in object_of(frame.get("topics")) or {}:
            room = self._rooms.get(topic)
            if room is not None and room.state == "denied":
                self._become(room, "joining")
                self._flush_soon()

    def _on_unsubscribed(self, frame: Frame) -> None:
        """Topics were taken away, and presence with them."""
        topics, reason = frame.get("topics"), frame.get("reason")
        if frame.get("id") is not None or not isinstance(topics, list):
            return
        for topic in topics:
            room = self._rooms.get(topic) if isinstance(topic, str) else None
            if room is not None:
                self._refuse(room, {"code": reason if isinstance(reason, str) else "disconnected"})


def _put(room: _Room, members: Iterable[object]) -> None:
    for value in members:
        member = object_of(value) or {}
        session, user, state = member.get("session"), member.get("user"), object_of(member.get("state"))
        if isinstance(session, str) and isinstance(user, str) and state is not None:
            room.members[session] = {"session": session, "user": user, "state": state}


_TAKE: dict[str, Callable[[PresenceMachine, Input], None]] = {
    "enter": PresenceMachine._enter,
    "update": PresenceMachine._update,
    "leave": PresenceMachine._leave,
    "connected": PresenceMachine._on_connected,
    "lost": PresenceMachine._on_lost,
    "frame": PresenceMachine._on_frame,
    "flush": PresenceMachine._flushed,
    "timer": lambda machine, input: machine._send_states(),
}
