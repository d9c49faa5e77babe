"""What the page goes through: holding still without a connection, and coming back."""

from __future__ import annotations

from tidings.client.machine.connection import drop, redial, wanted
from tidings.client.machine.context import Context

_AWAY = 1001


def pause(m: Context, reason: str) -> None:
    """Hold still without a connection, positions kept."""
    drop(m, _AWAY)
    m.cancel("backoff", "wake")
    m.enter("paused", reason)


def redial_if_blind(m: Context) -> None:
    """A page that was shown after a dial in the dark: such a dial may hang for long, so begin it anew."""
    if m.dialled_hidden and not m.hidden:
        redial(m, m.reason)


def unpause(m: Context) -> None:
    """The reason to hold still is over, unless the application asked for it."""
    if m.prerendering:
        return
    if wanted(m):
        redial(m)
    else:
        m.enter("idle")


def wake_from_pause(m: Context) -> None:
    """The same for what the browser tells; a page that is still hidden goes on waiting."""
    if m.reason != "paused" and not m.hidden:
        unpause(m)
