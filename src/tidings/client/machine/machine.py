"""The connection machine: inputs in, effects out. Every transition is a cell of TABLE or of TIMER_TABLE.

``_____`` says that the input means nothing in that state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidings.client.machine import climb, frames, ladder, page, publishes, renewal, subscriptions
from tidings.client.machine import connection as c
from tidings.client.machine.context import Context, Topic
from tidings.client.machine.values import STATES, Effect, Input, Options, TopicError

_Cell = Callable[[Context, Input], None]
_STATUS = ("state", "reason", "code", "attempt", "wait_ms", "transport", "refetching")
_SEEKING = ("connecting", "reconnecting", "failed")  # the states in which there is no connection, but should be


def _____(m: Context, input: Input) -> None:  # noqa: N807 - a blank cell
    """It means nothing here."""


def _plain(verb: Callable[[Context], None]) -> _Cell:
    return lambda m, _: verb(m)


def _pausing(reason: str) -> _Cell:
    return lambda m, _: page.pause(m, reason)


def _join(m: Context, input: Input) -> None:
    subscriptions.lease(m, input["subscriber"], input["topics"], input.get("since") or {})


def _join_idle(m: Context, input: Input) -> None:
    _join(m, input)
    if c.wanted(m):
        c.start(m)


def _part(m: Context, input: Input) -> None:
    subscriptions.release(m, input["subscriber"])


def _publish_idle(m: Context, input: Input) -> None:
    publishes.publish(m, input)
    if c.wanted(m):
        c.start(m)


def _credentials(m: Context, input: Input) -> None:
    if m.authorizing:
        c.open_socket(m, input["token"])


def _renewal(m: Context, input: Input) -> None:
    if m.authorizing:
        renewal.send_renewal(m, input["token"])


def _first_frame(m: Context, input: Input) -> None:
    if m.token is not None:
        m.send({"type": "auth", "token": m.token})
    m.token = None


def _early(m: Context, input: Input) -> None:
    frames.on_early_frame(m, input["frame"])


def _inbound(m: Context, input: Input) -> None:
    frames.on_frame(m, input["frame"])


def _lost(m: Context, input: Input) -> None:
    c.on_lost(m, input["code"])


def _wake(m: Context, input: Input) -> None:
    if "wake" not in m.timers:
        m.arm("wake", m.options.wake_ms)


def _online_live(m: Context, input: Input) -> None:
    _wake(m, input)
    ladder.climb_now(m)


_publish = publishes.publish
_climb_now = _plain(ladder.climb_now)
_flush = _plain(subscriptions.flush)
_failed = _plain(c.on_auth_failed)
_later = _plain(renewal.renew_later)
_byhand = _plain(c.dial_by_hand)
_redial: _Cell = lambda m, _: c.redial(m, None, force=True)  # noqa: E731 - a cell like the others
_renew = _plain(renewal.renew)
_unpause = _plain(page.unpause)
_shown = _plain(page.wake_from_pause)
_probe = _plain(c.probe)
_dim = _plain(c.watch_hidden)
_end = _plain(c.close)
_hold, _hide, _freeze = _pausing("paused"), _pausing("page_hidden"), _pausing("frozen")

# fmt: off
TABLE: dict[str, tuple[_Cell, ...]] = {
    #              idle           connecting    live       reconnecting paused    blocked   failed    closed
    "subscribe":   (_join_idle,    _join,        _join,     _join,       _join,    _join,    _join,    _____),
    "unsubscribe": (_part,         _part,        _part,     _part,       _part,    _part,    _part,    _____),
    "flush":       (_flush,        _flush,       _flush,    _flush,      _flush,   _flush,   _flush,   _____),
    "publish":     (_publish_idle, _publish,     _publish,  _publish,    _publish, _publish, _publish, _publish),
    "token":       (_____,         _credentials, _renewal,  _____,       _____,    _____,    _____,    _____),
    "auth_failed": (_____,         _failed,      _later,    _____,       _____,    _____,    _____,    _____),
    "open":        (_____,         _first_frame, _____,     _____,       _____,    _____,    _____,    _____),
    "frame":       (_____,         _early,       _inbound,  _____,       _____,    _____,    _____,    _____),
    "lost":        (_____,         _lost,        _lost,     _____,       _____,    _____,    _____,    _____),
    "reconnect":   (_byhand,       _____,        _byhand,   _byhand,     _byhand,  _byhand,  _byhand,  _____),
    "reauth":      (_____,         _redial,      _renew,    _____,       _____,    _byhand,  _____,    _____),
    "pause":       (_hold,         _hold,        _hold,     _hold,       _hold,    _____,    _____,    _____),
    "resume":      (_____,         _____,        _____,     _____,       _unpause, _____,    _____,    _____),
    "close":       (_end,          _end,         _end,      _end,        _end,     _end,     _end,     _____),
    "online":      (_____,         _wake,        _online_live,  _wake,       _wake,    _____,    _____,    _____),
    "offline":     (_____,         _____,        _probe,    _____,       _____,    _____,    _____,    _____),
    "visible":     (_____,         _wake,        _wake,     _wake,       _wake,    _____,    _____,    _____),
    "hidden":      (_____,         _dim,         _dim,      _dim,        _____,    _____,    _____,    _____),
    "page_show":   (_____,         _wake,        _wake,     _wake,       _shown,   _____,    _____,    _____),
    "page_hide":   (_____,         _hide,        _hide,     _hide,       _____,    _____,    _____,    _____),
    "freeze":      (_____,         _freeze,      _freeze,   _freeze,     _____,    _____,    _____,    _____),
    "thaw":        (_____,         _wake,        _wake,     _wake,       _wake,    _____,    _____,    _____),
    "slow_network": (_____,        _____,        _____,     _____,       _____,    _____,    _____,    _____),
    "fast_network": (_____,        _____,        _climb_now, _____,      _____,    _____,    _____,    _____),
    "activated":   (_____,         _____,        _____,     _____,       _shown,   _____,    _____,    _____),
}

_giveup: _Cell = lambda m, _: c.abandon(m, "timeout")  # noqa: E731
_silent: _Cell = lambda m, _: c.replace(m, "silent")  # noqa: E731
_move: _Cell = lambda m, _: c.redial(m, "restart")  # noqa: E731
_dial: _Cell = lambda m, _: c.dial(m)  # noqa: E731
# Topics that a dial asks for cannot be left before it is connected.
_linger: _Cell = lambda m, _: m.arm("linger", m.options.topic_linger_ms)  # noqa: E731
_missed = _plain(ladder.on_climb_timeout)
_climb = _plain(ladder.climb)
_vanish = _pausing("hidden")
_idle = _plain(c.go_idle)
_backoff = _plain(c.on_backoff)
_stable = _plain(c.on_stable)
_sweep = _plain(subscriptions.sweep)
_retry = _plain(subscriptions.retry_topics)
_blind = _plain(page.redial_if_blind)
_overdue = _plain(publishes.on_deadline)

TIMER_TABLE: dict[str, tuple[_Cell, ...]] = {
    #           idle   connecting  live      reconnecting paused    blocked failed closed
    "connect":  (_____, _giveup,   _missed,  _____,       _____,    _____,  _____, _____),
    "watchdog": (_____, _____,     _probe,   _____,       _____,    _____,  _____, _____),
    "probe":    (_____, _____,     _silent,  _____,       _____,    _____,  _____, _____),
    "backoff":  (_____, _____,     _____,    _backoff,    _____,    _____,  _____, _____),
    "stable":   (_____, _____,     _stable,  _____,       _____,    _____,  _____, _____),
    "linger":   (_____, _linger,   _sweep,   _____,       _____,    _____,  _____, _____),
    "idle":     (_____, _idle,     _idle,    _idle,       _____,    _____,  _____, _____),
    "reauth":   (_____, _____,     _renew,   _____,       _____,    _____,  _____, _____),
    "wake":     (_____, _blind,    _probe,   _dial,       _shown,   _____,  _____, _____),
    "hidden":   (_____, _vanish,   _vanish,  _vanish,     _____,    _____,  _____, _____),
    "publish":  (_____, _overdue,  _overdue, _overdue,    _overdue, _____,  _____, _____),
    "retry":    (_____, _____,     _retry,   _____,       _____,    _____,  _____, _____),
    "move":     (_____, _____,     _move,    _____,       _____,    _____,  _____, _____),
    "climb":    (_____, _____,     _climb,   _____,       _____,    _____,  _____, _____),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class TopicSnapshot:
    """What a subscriber of a topic can know."""

    state: str
    error: TopicError | None
    cursor: str | None
    leases: int


class Machine:
    """One connection's mind. Feed it inputs with the time and a random number in [0, 1); do what it answers."""

    def __init__(self, options: Options | None = None) -> None:
        options = options or Options()
        self._context = Context(
            options,
            hidden=options.hidden,
            prerendering=options.prerendering,
            slow=options.slow,
            transport=ladder.first_transport(options),
            memory=options.remembered,
            climb_ms=options.climb_ms,
        )

    def handle(self, input: Input, now: float, random: float) -> list[Effect]:
        """Take one input; you must do the effects in their order."""
        m = self._context
        m.now, m.random, m.effects = now, random, []
        before = _status(m)
        _note_page(m, input["input"])
        _dispatch(m, input)
        c.watch_use(m)
        after = _status(m)
        return m.effects if before == after else [after, *m.effects]

    @property
    def state(self) -> str:
        """One of STATES."""
        return self._context.state

    @property
    def generation(self) -> int:
        """The number of the latest dial."""
        return self._context.generation

    def users(self, name: str) -> list[int]:
        """The subscribers of a topic."""
        topic = self._context.topics.get(name)
        return [] if topic is None else list(topic.leases)

    def topic(self, name: str) -> TopicSnapshot | None:
        """What a topic's subscribers can know; None for one that nobody uses and that does not linger."""
        topic = self._context.topics.get(name)
        return None if topic is None else _snapshot(topic)


def _snapshot(topic: Topic) -> TopicSnapshot:
    return TopicSnapshot(topic.state, topic.error, topic.cursor, len(topic.leases))


def _dispatch(m: Context, input: Input) -> None:
    generation = input.get("generation", m.generation)
    if generation != m.generation:  # what an older dial says is not heard
        if m.climbing is not None and generation == m.climbing.generation:
            climb.on_climbing(m, m.climbing, input)
        return
    column = STATES.index(m.state)
    name = input["input"]
    if name != "timer":
        TABLE[name][column](m, input)
    elif input["name"] in m.timers:
        del m.timers[input["name"]]
        TIMER_TABLE[input["name"]][column](m, input)


def _note_page(m: Context, name: str) -> None:
    """What the page is like is known in every state."""
    if name in ("online", "offline"):
        m.offline = name == "offline"
    elif name in ("hidden", "visible", "page_show"):
        m.hidden = name == "hidden"
    elif name == "activated":
        m.prerendering = False
    elif name in ("slow_network", "fast_network"):
        m.slow = name == "slow_network"
    if not m.hidden:
        m.cancel("hidden")


def _status(m: Context) -> dict[str, Any]:
    wait_ms = None if m.next_try_at is None else max(0, m.next_try_at - m.now)
    transport = m.transport if m.state == "live" else None
    refetching = m.refetching and m.state in _SEEKING
    values = (m.state, m.reason, m.code, m.attempt, wait_ms, transport, refetching)
    return {"effect": "status", **dict(zip(_STATUS, values, strict=True))}
