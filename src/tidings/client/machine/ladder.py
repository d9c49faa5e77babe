"""Which transport: down the ladder when one does not work, and up again as soon as it does (R16, R17).

A dial that does not reach ``welcome`` is a step down, at once, and so is a connection that breaks soon after it for
the third time in a row. After the last step no transport is left: data are to be refetched, and they are tried in
turn, from the top on, one after each pause. Below the top, the better transports are tried beside the living one,
which stays until another has been welcomed; the positions carry over.
"""

from __future__ import annotations

from typing import Literal

from tidings.client.machine.context import Climbing, Context
from tidings.client.machine.values import Options

_NORMAL = 1000
_SLOW_FACTOR = 6  # how much seldomer a slow network is asked whether it has become better
_BREAKS_MAX = 3  # connections in a row that break within stable_ms of their welcome: something in between cuts them


def first_transport(options: Options) -> str:
    """The first choice of a visit: what worked in this session, else by the network's hint, else the best."""
    if options.remembered in options.transports:
        return str(options.remembered)
    if options.slow and "sse" in options.transports:
        return "sse"  # it needs fewer round trips before the first event
    return options.transports[0]


def _top(m: Context) -> str:
    return m.options.transports[0]


def _below(m: Context, transport: str) -> str | None:
    transports = m.options.transports
    rest = transports[transports.index(transport) + 1 :]
    return rest[0] if rest else None


def dial_ms(m: Context) -> float:
    """How long a dial may take: not long where another transport may do better, and this one is unproven."""
    impatient = _below(m, m.transport) is not None and not m.slow and m.transport not in m.worked
    return min(m.options.first_ms, m.options.connect_ms) if impatient else m.options.connect_ms


def after_miss(m: Context, reason: str) -> Literal["next", "pause"]:
    """A dial came to nothing: whether the next one follows at once, on the next transport, or after a pause."""
    m.misses += 1
    # One that has worked in this visit gets a second try: a restart is not a blockade. But a restart refuses at once.
    restarts = m.transport in m.worked and reason != "timeout"
    if restarts and m.misses == 1 and not m.refetching:
        return "pause"
    m.misses = 0
    following = _below(m, m.transport)
    # Where none is left, most likely the server is away: it is asked once a pause, in turn.
    pauses = m.refetching or following is None
    if following is None:
        m.refetching = True
    m.transport = following or _top(m)
    return "pause" if pauses else "next"


def on_welcomed(m: Context) -> None:
    """It has been welcomed. Remember it for the session, and look upward from it."""
    m.welcomed_at = m.now
    m.proven = False
    m.misses = 0
    was_lost = m.refetching
    m.refetching = False
    if m.breaks.get(m.transport, 0) < _BREAKS_MAX:  # one that keeps breaking has to hold first
        _trust(m)
    # After a time without any, the best has not been tried just now.
    if m.transport != _top(m):
        m.arm("climb", m.options.backoff_base_ms if was_lost else _climb_wait_ms(m))


def _trust(m: Context) -> None:
    """It works: it is remembered for the session."""
    best = m.transport == _top(m)
    m.worked.add(m.transport)
    # Where the best has worked in this visit, what took its place is a passing trouble.
    if (best or _top(m) not in m.worked) and m.transport != (m.memory or _top(m)):
        m.memory = m.transport
        m.effects.append({"effect": "remember", "transport": m.transport})
    if best:
        m.climb_ms = m.options.climb_ms


def on_heard(m: Context) -> None:
    """Something came over the connection: it holds, when that is long enough after its ``welcome``."""
    if m.proven or m.now - m.welcomed_at < m.options.stable_ms:
        return
    m.proven = True
    if m.breaks.pop(m.transport, 0):
        _trust(m)


def after_break(m: Context) -> bool:
    """The connection broke soon after its ``welcome``, by no plan of the server's: whether to go on one step below."""
    breaks = m.breaks[m.transport] = m.breaks.get(m.transport, 0) + 1
    following = _below(m, m.transport)
    if breaks < _BREAKS_MAX or following is None:
        return False
    m.worked.discard(m.transport)
    if breaks > _BREAKS_MAX:  # it had another chance, beside the one below
        m.climb_ms = min(m.options.climb_cap_ms, m.climb_ms * 2)
    m.transport = following
    return True


def _climb_wait_ms(m: Context) -> float:
    return min(m.options.climb_cap_ms, m.climb_ms * (_SLOW_FACTOR if m.slow else 1))


def climb(m: Context) -> None:
    """Try the best transport beside the living one. A hidden page does not."""
    if m.hidden:
        m.arm("climb", _climb_wait_ms(m))
    elif m.climbing is None and m.transport != _top(m):
        _climb_to(m, _top(m))


def climb_now(m: Context) -> None:
    """The network has changed: what did not work may work now."""
    if m.transport != _top(m) and m.climbing is None:
        m.climb_ms = m.options.climb_ms
        climb(m)


def _climb_to(m: Context, transport: str) -> None:
    m.cancel("climb")
    m.dials += 1
    m.climbing = Climbing(m.dials, transport)
    m.arm("connect", m.options.connect_ms)
    if m.options.auth:
        m.effects.append({"effect": "auth", "generation": m.dials, "force": False})
    else:
        m.effects.append({"effect": "dial", "generation": m.dials, "transport": transport, "token": None})


def on_climb_timeout(m: Context) -> None:
    """The dial beside took too long."""
    if m.climbing is not None:
        transport = m.climbing.transport
        stop_climbing(m)
        on_climb_missed(m, transport)


def on_climb_missed(m: Context, transport: str) -> None:
    """It did not work: another one that is better than ours, or again after twice the time."""
    m.cancel("connect")
    following = _below(m, transport)
    if following is not None and following != m.transport:
        _climb_to(m, following)
    else:
        m.climb_ms = min(m.options.climb_cap_ms, m.climb_ms * 2)
        m.arm("climb", _climb_wait_ms(m))


def stop_climbing(m: Context) -> None:
    """Give the dial beside up, if there is one."""
    if m.climbing is not None:
        m.effects.append({"effect": "drop", "generation": m.climbing.generation, "code": _NORMAL})
        m.climbing = None
