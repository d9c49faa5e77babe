"""Waiting for a condition, never for luck."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TURNS = 20  # what was started a moment ago gets its turn first
_LOOK_SECONDS = 0.002


async def turns(count: int = _TURNS) -> None:
    """Let everything that is ready to run do so, and what follows from it."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], seconds_max: float) -> bool:
    """Whether the condition came true in time. It is looked at after some turns of the loop."""
    await turns()
    try:
        async with asyncio.timeout(seconds_max):
            while not condition():  # noqa: ASYNC110 - what is looked at tells nobody when it changes
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
