"""How a network between a page and its server spoils one way of carrying events and leaves the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from tests.faults.proxy import FaultProxy

Transport = Literal["websocket", "sse", "poll"]
Way = Literal["refused", "stripped", "stalled", "buffered"]

PATHS: dict[Transport, tuple[str, ...]] = {
    "websocket": ("/realtime/ws",),
    "sse": ("/realtime/sse", "/realtime/session"),
    "poll": ("/realtime/poll",),
}
ALL: tuple[Transport, ...] = ("websocket", "sse", "poll")

_WAYS: dict[Way, Callable[[FaultProxy, str], object]] = {
    "refused": lambda proxy, path: proxy.block(path, answer=502),
    "stripped": lambda proxy, path: proxy.set(path, strip_upgrade=True),
    "stalled": lambda proxy, path: proxy.set(path, stall="both"),
    "buffered": lambda proxy, path: proxy.set(path, hold_bytes=math.inf),
}


def block(proxy: FaultProxy, way: Way, *transports: Transport) -> None:
    """From now on, until ``proxy.heal()``."""
    for transport in transports:
        for path in PATHS[transport]:
            _WAYS[way](proxy, path)


def asked(proxy: FaultProxy, transport: Transport) -> int:
    """How many requests of that transport the proxy has seen."""
    return sum(proxy.requests[path] for path in PATHS[transport])
