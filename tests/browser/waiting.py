"""Waiting for something to become so, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

LOOK_EVERY_SECONDS = 0.02
T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, within_seconds: float = 10) -> T:
    """What ``look`` gives as soon as it holds. Raises AssertionError with the last value at the deadline."""
    deadline = time.monotonic() + within_seconds
    while True:
        value = await look()
        if holds(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_seconds} s; at last: {value!r}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)
