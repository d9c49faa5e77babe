"""What the machine knows between two inputs, and the few verbs by which its parts answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import floor

from tidings.client.machine.values import Effect, Frame, Options, TopicError


@dataclass(slots=True)
class Lease:
    """One use of a topic by one subscriber.

    :ivar since: the position it asked for, until it has been served; then None.
    :ivar floor: it has its own data up to here: older events are not for it.
    :ivar attached: it has been served by a live topic, so a loss concerns it.
    """

    since: str | None
    floor: str | None = None
    attached: bool = False


@dataclass(slots=True)
class Topic:
    """One topic that is used, or lingers.

    :ivar place: ``away`` (the server does not hold it), ``asked`` (a subscribe is under way), ``held``,
        ``refused``.
    :ivar cursor: the one position: what has been received. It never moves back within an epoch.
    :ivar delivered: with no lease: what had been delivered when the last one left.
    :ivar buffer: the newest events with their times, for a subscriber that comes with an older position.
    :ivar buffer_from: the buffer holds every event after this position.
    """

    name: str
    delivered: str | None = None
    state: str = "subscribing"
    place: str = "away"
    error: TopicError | None = None
    request: int | None = None
    asked_since: str | None = None
    cursor: str | None = None
    leases: dict[int, Lease] = field(default_factory=dict)
    buffer: list[tuple[str, float, Frame]] = field(default_factory=list)
    buffer_from: str | None = None
    leave_at: float | None = None
    retry_at: float | None = None


@dataclass(slots=True)
class Publish:
    """One publish: waiting for a connection (``id`` None) no longer than ``until``, or for its answer.

    :ivar bytes: its frame in UTF-8, once it has been sent.
    :ivar again: it was not taken in and goes out again: its time runs on.
    """

    request: int
    frame: Effect
    queued: bool
    until: float
    id: int | None = None
    bytes: int = 0
    again: bool = False


@dataclass(slots=True)
class Climbing:
    """The dial that runs beside the living connection."""

    generation: int
    transport: str
    token: str | None = None


@dataclass(slots=True)
class Context:
    """The whole of the machine's memory."""

    options: Options
    # The input that is being handled.
    now: float = 0
    random: float = 0
    effects: list[Effect] = field(default_factory=list)
    # The connection.
    state: str = "idle"
    reason: str | None = None
    code: int | None = None
    attempt: int = 0
    next_try_at: float | None = None
    generation: int = 0  # of the current dial or connection
    dials: int = 0  # the number of the newest dial: one beside the living connection has another
    # The ladder.
    transport: str = "websocket"
    worked: set[str] = field(default_factory=set)  # transports that were welcomed in this visit
    breaks: dict[str, int] = field(default_factory=dict)  # connections in a row that broke soon, by transport
    welcomed_at: float = 0
    proven: bool = False  # this connection has been heard of long enough after its welcome
    misses: int = 0  # failed dials in a row of this transport
    refetching: bool = False  # no transport is left
    memory: str | None = None  # what the session remembers
    climbing: Climbing | None = None
    climb_ms: float = 0
    # Of this dial.
    token: str | None = None  # of this dial, until it has been sent
    authorizing: bool = False  # between the effect auth and its answer
    renewed: bool = False  # the one forced renewal is used up since the connection was last stable
    told: bool = False  # what went wrong has been told; once per outage
    window_ms: float | None = None
    retry_after_ms: float | None = None
    not_before: float = 0  # no dial before this time, but by hand
    dialled_at: float | None = None
    dialled_hidden: bool = False
    watchdog_ms: float = 0
    topics_per_frame: int = 100
    frame_bytes: float | None = None  # the largest frame that the server takes; None where it names no bound
    # Where it runs.
    hidden: bool = False
    offline: bool = False
    prerendering: bool = False
    slow: bool = False
    # The rest.
    last_id: int = 0
    auth_request: int | None = None
    flushing: bool = False
    timers: dict[str, None] = field(default_factory=dict)
    topics: dict[str, Topic] = field(default_factory=dict)
    subscribers: dict[int, list[str]] = field(default_factory=dict)
    remembered: dict[str, tuple[str, float]] = field(default_factory=dict)  # positions of topics that nobody uses
    seen: dict[str, str] = field(default_factory=dict)  # for wildcards: the last position delivered, by topic
    warned: set[str] = field(default_factory=set)
    publishes: list[Publish] = field(default_factory=list)

    def arm(self, name: str, ms: float) -> None:
        """Start a timer, or start it anew."""
        self.timers[name] = None
        self.effects.append({"effect": "timer", "name": name, "ms": max(0, floor(ms + 0.5))})

    def cancel(self, *names: str) -> None:
        """Stop timers, if they run."""
        for name in names:
            if name in self.timers:
                del self.timers[name]
                self.effects.append({"effect": "cancel", "name": name})

    def send(self, frame: Effect) -> None:
        """Send a frame over the current connection."""
        self.effects.append({"effect": "send", "frame": frame})

    def enter(self, state: str, reason: str | None = None, code: int | None = None) -> None:
        """Change the state; the effect ``status`` is added when the input has been handled."""
        self.state = state
        self.reason = reason
        self.code = code
        self.next_try_at = None

    def next_id(self) -> int:
        """The number of a frame that expects an answer; never used twice."""
        self.last_id += 1
        return self.last_id

    def report(self, level: str, code: str, **more: str) -> None:
        """Tell the developer something."""
        self.effects.append({"effect": "report", "level": level, "code": code, **more})
