"""A network of one process, on virtual time: frames in order, and everything that a link can do to them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tidings.core.framing import Framed


@dataclass(slots=True)
class Weather:
    """How bad the network is; each seed draws its own, with some faults off: else nothing deep is reached."""

    latency_seconds: float
    cuts_per_minute: float
    stalls_per_minute: float
    half_open: bool  # a cut is told to one side only
    refuses: float  # how many dials fail


class Wire:
    """One connection: two directions, each in order; the ends are functions."""

    def __init__(self, dice: random.Random, weather: Weather) -> None:
        self._dice = dice
        self._weather = weather
        self._due = {"up": 0.0, "down": 0.0}
        self._stalled_until = 0.0
        self.open = True
        self.to_server: Callable[[str], None] = lambda _: None
        self.to_client: Callable[[str], None] = lambda _: None
        self.tell_server: Callable[[], None] = lambda: None
        self.tell_client: Callable[[int | None], None] = lambda _: None

    def up(self, frame: str) -> None:
        """Client to server."""
        self._carry("up", lambda: self.to_server(frame))

    def down(self, frame: str) -> None:
        """Server to client."""
        self._carry("down", lambda: self.to_client(frame))

    def close(self, *, by_client: bool, code: int | None) -> None:
        """One end closes: what was sent before it still arrives, and then the other end is told."""
        if by_client:
            self._carry("up", self._server_hears)
        else:
            self._carry("down", lambda: self._client_hears(code))

    def cut(self) -> None:
        """The link breaks: what is on its way is lost; with half-open links one end notices much later."""
        if not self.open:
            return
        self.open = False
        loop = asyncio.get_running_loop()
        late = self._dice.uniform(30, 70)
        server_first = self._dice.random() < 0.5
        loop.call_later(late if self._weather.half_open and server_first else 0, self.tell_client, None)
        loop.call_later(late if self._weather.half_open and not server_first else 0, self.tell_server)

    def stall(self, seconds: float) -> None:
        """Nothing moves for a while, then everything comes at once."""
        self._stalled_until = asyncio.get_running_loop().time() + seconds

    def _server_hears(self) -> None:
        self.open = False
        self.tell_server()

    def _client_hears(self, code: int | None) -> None:
        self.open = False
        self.tell_client(code)

    def _carry(self, direction: str, arrive: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        latency = self._dice.expovariate(1 / self._weather.latency_seconds)
        # In order, as TCP has it: nothing overtakes; timers of the same moment have no order, so none is.
        at = self._due[direction] = max(self._due[direction] + 1e-6, now + latency, self._stalled_until)
        loop.call_at(at, lambda: arrive() if self.open else None)


class WireSink:
    """The server's end of a wire (``tidings.ports.Sink``), with a bound on what waits."""

    sees_pongs = True

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.pushed_count = 0
        self.closed = False

    def push(self, framed: Framed) -> None:
        self._put(framed.json)

    def send(self, frame: bytes) -> None:
        self._put(frame)

    def ping(self) -> None:
        """Answered by the client's side without its machine, as browsers do."""
        self._wire.down("ping")

    def close(self, code: int, reason: str) -> None:
        if not self.closed:
            self.closed = True
            self._wire.close(by_client=False, code=int(code))

    async def drained(self) -> None:
        await asyncio.sleep(0)

    def _put(self, frame: bytes) -> None:
        if not self.closed:
            self.pushed_count += 1
            self._wire.down(frame.decode())
