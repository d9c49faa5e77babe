"""What a welcome says, and credentials that are renewed while the connection lives."""

from __future__ import annotations

from tidings.client.machine.context import Context
from tidings.client.machine.values import Frame, number_of, object_of


def read_welcome(m: Context, welcome: Frame) -> None:
    """What a welcome says: at the start of a connection, and after each renewal of its credentials."""
    limits = object_of(welcome.get("limits")) or {}
    m.topics_per_frame = int(number_of(limits.get("topics_per_frame")) or 100)  # 0 is no bound
    m.frame_bytes = number_of(limits.get("frame_bytes")) or None
    m.watchdog_ms = _or(number_of(welcome.get("heartbeat_seconds")), 25) * 1_000 + m.options.watchdog_slack_ms
    m.arm("watchdog", m.watchdog_ms)
    expires = number_of(welcome.get("expires_in_seconds"))
    m.cancel("reauth")
    if expires is not None and m.options.auth:
        m.arm("reauth", _renew_after(m, expires * 1_000))


def _renew_after(m: Context, life_ms: float) -> float:
    """A minute before the end, spread over the clients; half-way where the life is shorter than two minutes."""
    before, jitter = m.options.reauth_before_ms, m.options.reauth_jitter_ms
    if life_ms <= before * 2:
        return max(life_ms / 2, m.options.slow_down_ms / 2)
    return life_ms - before + (m.random * 2 - 1) * jitter


def renew(m: Context) -> None:
    """Ask the application for new credentials while the connection stays."""
    if not m.options.auth or m.authorizing or m.auth_request is not None:
        return
    m.authorizing = True
    m.effects.append({"effect": "auth", "generation": m.generation, "force": True})


def send_renewal(m: Context, token: str | None) -> None:
    """Hand new credentials in, over the living connection; its answer is another welcome."""
    m.authorizing = False
    if token is None:
        return
    m.auth_request = m.next_id()
    m.send({"type": "auth", "token": token, "id": m.auth_request})


def renew_later(m: Context) -> None:
    """Renewing in place failed; try again soon, the server's own deadline stands behind."""
    m.authorizing = False
    m.auth_request = None
    m.arm("reauth", m.options.stable_ms)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
