"""A network of one process, on virtual time: bytes in order, and everything that a connection can suffer."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Weather:
    """How bad the network is at the moment; the world changes it.

    :ivar half_open: a cut is told to one side only, the other learns of it much later.
    :ivar refuses: how many dials fail.
    :ivar window_bytes: how much a sender gets rid of before the reader takes it.
    :ivar blocked: transport to what happens to it: ``refused``, ``swallowed``, or for streams ``buffered``.
    """

    latency_seconds: float
    half_open: bool = False
    refuses: float = 0.0
    window_bytes: int = 65_536
    blocked: dict[str, str] = field(default_factory=dict)


class Gone(OSError):
    """The peer is not there any more, and this end knows it."""


class Pipe:
    """One TCP connection: two directions, each in order; the way to the client has a window."""

    def __init__(self, dice: random.Random, weather: Weather) -> None:
        self._dice = dice
        self._weather = weather
        self._loop = asyncio.get_running_loop()
        self._due = [0.0, 0.0]  # up, down
        self._stalled_until = [0.0, 0.0]
        self._under_way: tuple[deque[Callable[[], None]], ...] = (deque(), deque())
        self._in_flight_bytes = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._told = {"server": False, "client": False}
        self.open = True
        self.on_server_gone: Callable[[], None] = _nothing
        self.on_client_gone: Callable[[], None] = _nothing

    def up(self, arrive: Callable[[], None]) -> None:
        """Client to server."""
        self._carry(0, arrive)

    async def down(self, size_bytes: int, arrive: Callable[[], None]) -> None:
        """Server to client; waits while the window is full. Raises Gone once this end knows that nobody reads."""
        while True:
            if self._told["server"]:
                raise Gone("the peer is gone")
            if not self._in_flight_bytes or self._in_flight_bytes + size_bytes <= self._weather.window_bytes:
                break
            room: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(room)
            await room
        self._in_flight_bytes += size_bytes

        def taken() -> None:
            self._in_flight_bytes -= size_bytes
            self._make_room()
            arrive()

        self._carry(1, taken)

    def stall(self, seconds: float, *, down_only: bool = False) -> None:
        """Nothing moves for a while, then everything comes at once; ``down_only`` is a reader that does not read."""
        until = self._loop.time() + seconds
        self._stalled_until[1] = until
        if not down_only:
            self._stalled_until[0] = until

    def unstall(self) -> None:
        """The reader reads on."""
        self._stalled_until = [0.0, 0.0]

    def close_by_client(self) -> None:
        """What was sent before still arrives, then the server is told. The client listens no more."""
        self._told["client"] = True
        self._carry(0, self._close, self._weather.latency_seconds)

    def close_by_server(self, arrive: Callable[[], None]) -> None:
        """The same from the other end; ``arrive`` is the good-bye."""

        def closed() -> None:
            self.open = False
            self._told["client"] = True
            arrive()
            self._tell_server()

        self._carry(1, closed)

    def cut(self) -> None:
        """The link breaks: what is on its way is lost; with half-open links one end notices much later."""
        if not self.open:
            return
        self.open = False
        late_seconds = self._dice.uniform(30, 70) if self._weather.half_open else 0.0
        server_late = self._dice.random() < 0.5
        self._loop.call_later(0.0 if server_late else late_seconds, self._tell_client)
        self._loop.call_later(late_seconds if server_late else 0.0, self._tell_server)

    def kill_server(self) -> None:
        """The server's process is gone: nothing it still does reaches anybody, and its kernel resets the link."""
        self._told["server"] = True
        if self.open:
            self.open = False
            late_seconds = self._dice.uniform(30, 70) if self._weather.half_open else 0.0
            self._loop.call_later(late_seconds, self._tell_client)
        self._make_room()

    def _close(self) -> None:
        self.open = False
        self._tell_server()

    def _tell_server(self) -> None:
        if not self._told["server"]:
            self._told["server"] = True
            self._make_room()
            self.on_server_gone()

    def _tell_client(self) -> None:
        if not self._told["client"]:
            self._told["client"] = True
            self.on_client_gone()

    def _make_room(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        for room in waiting:
            if not room.done():
                room.set_result(None)

    def _carry(self, direction: int, arrive: Callable[[], None], latency: float | None = None) -> None:
        if latency is None:
            latency = self._dice.expovariate(1 / self._weather.latency_seconds)
        # In order, as TCP has it: nothing overtakes; timers of the same moment have no order, so none is.
        at = max(self._due[direction] + 1e-6, self._loop.time() + latency, self._stalled_until[direction])
        self._due[direction] = at
        self._under_way[direction].append(arrive)
        self._loop.call_at(at, self._arrive, direction)

    def _arrive(self, direction: int) -> None:
        """It is time for one of those under way, whichever is first."""
        if not self.open:
            return
        until = self._stalled_until[direction]
        if until > self._loop.time():  # stalled while it was on its way
            self._due[direction] = max(self._due[direction] + 1e-6, until)
            self._loop.call_at(self._due[direction], self._arrive, direction)
            return
        self._under_way[direction].popleft()()


def _nothing() -> None:
    pass
