"""Time that passes for a whole server at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.core.errors import UsageError
from tidings.testing.clock import FakeClock
from tidings.testing.settling import turns

if TYPE_CHECKING:
    from tidings.server import Tidings  # whoever has one has loaded it

_STEP_SECONDS = 1.0  # as often as a server looks at its deadlines


async def advance(live: Tidings, seconds: float) -> None:
    """Let time pass on the FakeClock that ``live`` was made with, and let everything that falls due in it happen:

    heartbeats, the end of tokens, silence, the age of history. It takes no real time to speak of.
    Raises UsageError for a Tidings that was made without one, ValueError for a step backwards.
    """
    clock = live._clock
    if not isinstance(clock, FakeClock):
        raise UsageError("this Tidings has a real clock: make it with Tidings(clock=FakeClock()) in your test")
    await turns()
    left = seconds
    while left > _STEP_SECONDS:
        clock.advance(_STEP_SECONDS)
        live.node._ticker.run_due()
        await turns(1)
        left -= _STEP_SECONDS
    clock.advance(left)
    live.node._ticker.run_due()
    await turns()
