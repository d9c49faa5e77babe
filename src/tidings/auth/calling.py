"""How a user's own function is called, plain or ``async``."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call an ``async def`` on the event loop, and a plain function in a worker thread, as FastAPI does.

    So a plain function may wait for a database without holding up everyone else's events. One that never
    waits is cheaper as ``async def``: it saves the way to the thread and back.
    """
    if is_async(function):
        return await function(*args, **kwargs)
    result = await asyncio.to_thread(function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: functions, partials, and objects with an async ``__call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
