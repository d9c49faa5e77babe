"""Sending the clients away, so that no event is lost and the next server is not stormed.

Every client is told the window, and moves at its own random moment within it: the even spread is the
clients' dice, not ours. Until it moves it goes on getting events; after that it recovers by its cursors.
"""

from __future__ import annotations

import asyncio
import logging

from tidings.core.codes import CloseCode
from tidings.core.inputs import Draining
from tidings.engine.registry import Registered, Registry

log = logging.getLogger("tidings.drain")

LATE_SECONDS = 1.0  # beyond the window, for who throws the highest number
COME_BACK_SECONDS = 2.0  # the window to come back in, told to those that are closed at once


def send_back(connection: Registered) -> None:
    """Tell one connection that it should come back, a moment from now."""
    connection.take(Draining(int(COME_BACK_SECONDS * 1_000)))


async def drain(registry: Registry, window_seconds: float) -> None:
    """Tell every connection to move within the window, wait for that, and end those that stayed.

    Returns after at most ``window_seconds`` and a second, or as soon as nobody is left; with a window of 0 at
    once: then the clients come back spread over two seconds.
    """
    registry.draining = True
    connections = registry.all()
    if not connections:
        return
    for connection in connections:
        connection.take(Draining(int((window_seconds or COME_BACK_SECONDS) * 1_000)))
    if window_seconds:
        log.info("draining %d connections over %g s", len(connections), window_seconds)
        try:
            async with asyncio.timeout(window_seconds + LATE_SECONDS):
                await registry.emptied()
        except TimeoutError:
            pass
    left = registry.all()
    for connection in left:
        connection.end(CloseCode.SERVICE_RESTART, "the server restarts")
    log.info("drained; %d of %d connections had to be closed", len(left), len(connections))
