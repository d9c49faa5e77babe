"""What may be wrong with a network, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["up", "down", "both"]
"""``up`` is from the client to the server, ``down`` from the server to the client."""

End = Literal["fin", "rst", "silent"]
"""How a connection ends: closed, reset, or gone without a word to either side."""


@dataclass(frozen=True)
class Conditions:
    """The network of one path. As it stands here nothing is wrong."""

    # How bytes travel; holds for open connections at once.
    latency_seconds: float = 0
    """Each chunk arrives so much later, in each direction; the order is kept."""
    bytes_per_second: float | None = None
    """No more than this, in each direction."""
    stall: Direction | None = None
    """Bytes and ends wait, and arrive when it is lifted. What is sent meanwhile backs up to the sender, as with TCP."""
    drop: Direction | None = None
    """Half-open: bytes and ends vanish. A direction that lost something stays dead when this is lifted."""
    hold_bytes: float | None = None
    """Responses are kept until so many bytes are there, or they end; ``math.inf`` until they end."""

    # When connections end; counted for open connections too.
    cut_after_bytes: int | None = None
    """After so many bytes from the server, counted from when this is set: in the midst of a frame."""
    cut_how: End = "fin"
    """How ``cut_after_bytes`` and ``lifetime_seconds`` end it."""
    idle_seconds: float | None = None
    """After so long without a byte in either direction the connection is gone without a word, as behind a NAT."""
    lifetime_seconds: float | None = None
    """So long after it came, busy or not."""
    eat_replies: bool = False
    """The request arrives; its answer is swallowed, and the client's connection is reset."""

    # What a request meets; holds for requests from now on.
    reset: bool = False
    """The connection is reset when the request comes."""
    answer: int | None = None
    """Every request is answered with this status and a page of HTML; 200 is what a captive portal does."""
    refuse_upgrade: int | None = None
    """The same for WebSocket upgrades only."""
    strip_upgrade: bool = False
    """The headers that ask for the upgrade are removed before the server sees the request."""
    answer_when_down: int | None = None
    """While the server refuses connections: this status, as of a load balancer; None resets the client's one."""

    def stalls(self, direction: Direction) -> bool:
        return self.stall in (direction, "both")

    def drops(self, direction: Direction) -> bool:
        return self.drop in (direction, "both")
