"""The life of the connection: dial, live, lose, wait, give up.

One dial at a time, each with a generation number: what an older generation says is not heard. A socket that
is given up is dropped at once, for ``close`` on a dead link may never be answered.
"""

from __future__ import annotations

from math import floor

from tidings.client.machine import ladder, publishes, subscriptions
from tidings.client.machine.context import Context
from tidings.client.machine.renewal import read_welcome
from tidings.client.machine.values import Effect, Frame

_ENDED = {1000: "ended", 1008: "refused", 4403: "forbidden"}  # R7
_PAUSING = {1012: "restart", 4429: "slow_down", 4503: "slow_down"}
_NORMAL, _TOO_LARGE, _RESTART, _UNAUTHORIZED, _TIMEOUT = 1000, 1009, 1012, 4401, 4408
_OWN_CODES = 4400  # from here on the server's own; below, of the protocol and of what stands in between


def wanted(m: Context) -> bool:
    """Whether anything needs the connection."""
    return bool(m.subscribers or m.publishes)


def dial(m: Context, *, force: bool = False) -> None:
    """Begin a dial: credentials first, then the socket. A page that is not yet shown waits."""
    m.cancel("backoff", "wake")
    if m.prerendering:
        m.enter("paused", "prerendering")
        return
    m.dials += 1
    m.generation = m.dials
    m.dialled_at = m.now
    m.dialled_hidden = m.hidden
    m.token = None
    m.enter("connecting", m.reason, m.code)
    m.arm("connect", ladder.dial_ms(m))
    if m.hidden:
        watch_hidden(m)
    m.authorizing = m.options.auth
    if m.options.auth:
        m.effects.append({"effect": "auth", "generation": m.generation, "force": force})
    else:
        open_socket(m, None)


def open_socket(m: Context, token: str | None) -> None:
    """The second step of a dial."""
    m.authorizing = False
    m.token = token
    effect: Effect = {"effect": "dial", "generation": m.generation, "transport": m.transport, "token": token}
    if m.transport != "websocket":  # on SSE and poll the first question travels with the dial
        effect["subscribe"] = subscriptions.ask_first(m)
    m.effects.append(effect)


def go_live(m: Context, welcome: Frame) -> None:
    """``welcome`` means connected; the socket's own ``open`` does not."""
    m.enter("live")
    m.cancel("connect")
    m.window_ms = None
    m.retry_after_ms = None
    m.not_before = 0
    m.token = None
    m.arm("stable", m.options.stable_ms)
    ladder.on_welcomed(m)
    read_welcome(m, welcome)
    subscriptions.ask_all(m)
    publishes.send_queued(m)


def probe(m: Context) -> None:
    """Doubt the link: ask, and demand any frame in answer."""
    if "probe" not in m.timers:
        m.send({"type": "ping"})
        m.arm("probe", m.options.probe_ms)


def on_lost(m: Context, code: int | None) -> None:
    """The server closed, or the link broke. The close code decides what follows (R7)."""
    if code == _TOO_LARGE:
        publishes.refuse_largest(m)
    ends = code in _ENDED or code == _UNAUTHORIZED
    down = not ends and _broke(m, code) and ladder.after_break(m)
    leave(m)
    if code in _ENDED:
        block(m, _ENDED[code], code)
    elif code == _UNAUTHORIZED:
        if m.renewed or not m.options.auth:
            block(m, "unauthorized", code)
        else:
            m.renewed = True
            m.reason = "unauthorized"
            m.code = code
            dial(m, force=True)
    else:
        reason = None if code is None else _PAUSING.get(code)
        if down:
            _dial_next(m, "lost", code)
        # A server that asks for patience has been reached: that is no reason for another transport.
        elif reason is None and m.state == "connecting":
            _on_dial_failed(m, "lost", code)
        else:
            retry(m, reason or "lost", code)


def _broke(m: Context, code: int | None) -> bool:
    """Whether a live connection ended soon after its ``welcome``, and the server had not planned it."""
    planned = m.window_ms is not None or code == _RESTART or (code is not None and code >= _OWN_CODES)
    return m.state == "live" and not planned and m.now - m.welcomed_at < m.options.stable_ms


def _on_dial_failed(m: Context, reason: str, code: int | None) -> None:
    """A dial came to nothing: the next transport at once, or a pause (R16)."""
    if ladder.after_miss(m, reason) == "pause":
        retry(m, reason, code)
    else:
        _dial_next(m, reason, code)


def _dial_next(m: Context, reason: str, code: int | None) -> None:
    """Dial at once what the ladder has come to."""
    m.reason = reason
    m.code = code
    dial(m)


def reopen(m: Context) -> None:
    """A frame found another process than the one that has the stream.

    A new stream takes all topics along in its opening: at once, unless that has just been done and did not help.
    """
    soon = _broke(m, None)
    down = soon and ladder.after_break(m)
    publishes.repeat(m)
    drop(m, _NORMAL)
    if soon and not down and m.breaks.get(m.transport, 0) > 1:
        retry(m, "lost", None)
    else:
        _dial_next(m, "lost", None)


def on_auth_failed(m: Context) -> None:
    """The application could not give credentials: nothing has been dialled."""
    leave(m)
    retry(m, "auth_failed", None)


def abandon(m: Context, reason: str) -> None:
    """Give the socket up without waiting for it, and try again after a pause."""
    slow_answer = m.authorizing  # the application's, not the transport's
    drop(m, _TIMEOUT)
    if slow_answer:
        retry(m, reason, None)
    else:
        _on_dial_failed(m, reason, None)


def replace(m: Context, reason: str) -> None:
    """The link is dead: dial anew at once; the pause comes if that fails too."""
    down = not m.proven and ladder.after_break(m)
    drop(m, _TIMEOUT)
    if not down:
        if _exhausted(m, reason, None):
            return
        m.attempt += 1
        _tell(m)
    m.reason = reason
    dial(m)


def redial(m: Context, reason: str | None = None, *, force: bool = False) -> None:
    """Dial anew because it was asked for or was announced: no failure."""
    drop(m, _NORMAL)
    m.reason = reason
    m.code = None
    dial(m, force=force)


def retry(m: Context, reason: str, code: int | None) -> None:
    """Wait, then dial: full jitter, taken after the cap, so that clients do not meet at the cap."""
    if not _exhausted(m, reason, code):
        m.attempt += 1
        _tell(m)
        m.enter("reconnecting", reason, code)
        _wait(m, _backoff_ms(m, reason))


def _backoff_ms(m: Context, reason: str) -> float:
    options = m.options
    cap_ms = options.backoff_cap_ms
    if m.refetching and len(options.transports) > 1:
        # While the page refetches at intervals, asking for more than that is no greater burden.
        cap_ms = min(cap_ms, options.refetching_cap_ms)
    spread = m.random * min(cap_ms, options.backoff_base_ms * 2.0 ** min(m.attempt - 1, 60))
    ms = spread
    if m.window_ms is not None:
        ms = m.random * m.window_ms
    elif reason == "slow_down":
        ms = max(options.slow_down_ms, m.retry_after_ms or 0) + spread
    elif m.retry_after_ms is not None:
        ms = m.retry_after_ms + spread
    m.window_ms = None
    m.retry_after_ms = None
    return floor(max(ms, options.offline_ms) if m.offline else ms)


def _wait(m: Context, ms: float) -> None:
    m.next_try_at = m.now + ms
    m.not_before = m.next_try_at
    m.arm("backoff", ms)


def on_backoff(m: Context) -> None:
    """The pause is over. A hidden page dials seldom; what nothing wants to be live, not at all."""
    since = None if m.dialled_at is None else m.now - m.dialled_at
    if not wanted(m):
        m.enter("idle")
    elif m.hidden and since is not None and since < m.options.hidden_dial_ms:
        _wait(m, m.options.hidden_dial_ms - since)
    else:
        dial(m)


def start(m: Context) -> None:
    """The first use of an idle machine: dial, unless a pause after a failure still runs."""
    if m.now >= m.not_before:
        dial(m)
    else:
        m.enter("reconnecting", "lost")
        _wait(m, m.not_before - m.now)


def _exhausted(m: Context, reason: str, code: int | None) -> bool:
    """Where the user set a limit and it is reached: no more tries until ``reconnect()``."""
    limit = m.options.attempts_limit
    if limit is None or m.attempt < limit:
        return False
    m.enter("failed", reason, code)
    m.report("error", "failed")
    publishes.drop(m, "not_connected")
    return True


def block(m: Context, reason: str, code: int | None) -> None:
    """Stop for good, until the application does something about it."""
    m.enter("blocked", reason, code)
    m.report("error", "blocked")
    publishes.drop(m, "not_connected")


def dial_by_hand(m: Context) -> None:
    """Asked for by hand: it always works, and starts the counting anew."""
    force = m.state == "blocked"  # the last credentials were refused
    m.attempt = 0
    m.renewed = False
    redial(m, None, force=force)


def on_stable(m: Context) -> None:
    """The connection has held for a while: its failures are history."""
    m.attempt = 0
    m.renewed = False
    m.told = False


def watch_hidden(m: Context) -> None:
    """Where the application wants it, a page that stays hidden leaves (R18)."""
    if m.options.pause_after_ms is not None:
        m.arm("hidden", m.options.pause_after_ms)


def go_idle(m: Context) -> None:
    """Nobody has used the connection for a while."""
    drop(m, _NORMAL)
    m.cancel("backoff", "wake")
    m.enter("idle")


def close(m: Context) -> None:
    """The end: nothing is heard afterwards."""
    drop(m, _NORMAL)
    m.cancel(*list(m.timers))
    publishes.drop(m, "closed")
    m.topics.clear()
    m.subscribers.clear()
    m.enter("closed")


def drop(m: Context, code: int) -> None:
    """Detach the socket (or the dial under way) and forget what only it knew."""
    if m.state in ("connecting", "live"):
        m.effects.append({"effect": "drop", "generation": m.generation, "code": code})
        leave(m)


def leave(m: Context) -> None:
    """What ends with every connection."""
    m.cancel("connect", "watchdog", "probe", "stable", "reauth", "move", "retry", "climb")
    ladder.stop_climbing(m)
    m.authorizing = False
    m.auth_request = None
    m.token = None
    subscriptions.lose(m)
    publishes.lose(m)


def _tell(m: Context) -> None:
    """Say once per outage that the link is down: a log full of the same line helps nobody (A8)."""
    if not m.told:
        m.told = True
        m.report("warn", "disconnected")


def watch_use(m: Context) -> None:
    """The connection lingers after its last use; what comes next keeps it."""
    running = m.state in ("connecting", "live", "reconnecting")
    if not running or wanted(m):
        m.cancel("idle")
    elif "idle" not in m.timers:
        m.arm("idle", m.options.connection_linger_ms)
