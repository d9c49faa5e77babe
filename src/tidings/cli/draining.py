"""uvicorn, with clients that are sent away in order when it stops.

uvicorn closes every WebSocket, and only then lets the application know. This one first stops taking connections,
then drains: each client moves at its own moment within the window, and is given its events until then.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from tidings.cli.stalled import Stalled
from tidings.engine.drain import LATE_SECONDS
from tidings.server import running

log = logging.getLogger("tidings.server")

CLOSED_SECONDS_MAX = 3.0  # how long clients may take to read that they should come back
REQUESTS_SECONDS_MAX = 15.0  # and requests that are under way to be answered, before the process is killed
_TICKS_OF_A_LOOK = 20  # two seconds
_LOOK_SECONDS = 0.2  # how soon a second signal cuts the window short


class DrainingServer(uvicorn.Server):
    """Drains every Tidings of the process, over the window that its settings name.

    :param on_ready: called once connections are taken, with the seconds from the signal to the end at the latest.
    :param at_once: no window, as when a developer's change restarts the server.
    """

    def __init__(
        self, config: uvicorn.Config, *, on_ready: Callable[[float], None] | None = None, at_once: bool = False
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._at_once = at_once
        self._stalled = Stalled()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal to stop. Somebody at a terminal (SIGINT) does not want to wait for a window."""
        self._at_once = self._at_once or sig == signal.SIGINT
        for live in running():
            live.expect_drain()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            window_seconds = max((live.settings.drain_seconds for live in running()), default=0.0)
            self._on_ready(window_seconds + LATE_SECONDS + CLOSED_SECONDS_MAX + REQUESTS_SECONDS_MAX)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop."""
        if counter % _TICKS_OF_A_LOOK == 0 and (
            count := self._stalled.look(self.server_state.connections, time.monotonic())
        ):
            log.info("%d closed connections were reset, for their peers had stopped reading", count)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody new, while those that are here move at their own moments; then as uvicorn does."""
        for server in self.servers:
            server.close()
        await self._drain()
        if self.server_state.tasks:  # the connections, each ends when its close frame is out
            await asyncio.wait(self.server_state.tasks, timeout=CLOSED_SECONDS_MAX)
        await super().shutdown(sockets)
        for live in running():  # where the application's own shutdown was skipped, or does not know of it
            await live.close()

    async def _drain(self) -> None:
        lives = running()
        draining = [
            asyncio.ensure_future(live.drain(0 if self._at_once else live.settings.drain_seconds)) for live in lives
        ]
        under_way = set(draining)
        while under_way and not self.force_exit:
            _, under_way = await asyncio.wait(under_way, timeout=_LOOK_SECONDS)
        for one in under_way:
            one.cancel()
        if under_way:
            await asyncio.gather(*(live.drain(0) for live in lives))
