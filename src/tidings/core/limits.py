"""Every bound, with its unit and its reason. 0 means no bound.

Each field is a setting: ``TIDINGS_LIMIT_<NAME>`` in the environment, ``[limit]`` in ``tidings.toml``.
Sizes are bytes, times are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

# Not settings, for both sides of the wire must agree on them.
TOPIC_LENGTH_MAX = 192
ID_LENGTH_MAX = 64
EVENT_NAME_LENGTH_MAX = 128
ENTITY_ID_LENGTH_MAX = 256
TRACE_ID_LENGTH_MAX = 128
IDEMPOTENCY_KEY_LENGTH_MAX = 128
NESTING_MAX = 32  # msgspec raises RecursionError on deep nesting, and subscribers' parsers may too


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client, one user and one event may take. See ``docs/settings.md`` for the table."""

    # Sizes: what one message may cost. ``--limits off`` leaves these alone.
    frame_bytes: int = 131_072  # a client's frame: an event of the largest payload and its envelope fit
    frame_bytes_before_auth: int = 8_192  # a token fits; strangers get no more
    payload_bytes: int = 102_400  # R3: 10 KB is good, 100 KB the limit
    body_bytes: int = 1_048_576  # one POST of events
    backlog_bytes: int = 1_048_576  # what waits for one slow reader, before it is cut off with 4503
    hold_bytes: int = 1_048_576  # what a subscription that recovers keeps before it reads history again
    presence_state_bytes: int = 1_024  # what a member says of itself: where it is and what it does, no content
    presence_list_bytes: int = 262_144  # one list of members: a quarter of the backlog, which it must never fill

    # Rates and counts: what one peer may do.
    topics_per_frame: int = 100
    topics_per_connection: int = 256
    connections_per_user: int = 20
    connections: int = 50_000  # in one process; descriptors end before memory does
    frames_per_second: int = 50
    publishes_per_second: int = 10  # for clients; API keys have none
    bad_frames_per_minute: int = 10  # a fuzzer, or a client in a loop
    presence_members: int = 1_000  # on one topic; more are counted, and no longer named one by one
    presence_per_second: int = 20  # states of one connection; our clients send 10 at most
    waiting_frames: int = 256  # frames whose answer is under way, for one connection

    # History.
    history_events: int = 1_000  # kept for each topic
    history_seconds: int = 3_600
    recovery_events: int = 1_000  # replayed for one topic; more is told with recovered: false
    page_events: int = 100  # missed events sent to one connection before its backlog is looked at
    page_bytes: int = 262_144  # the same in bytes: a recovery must never fill the backlog by itself
    idempotency_seconds: int = 600

    # Time.
    auth_seconds: int = 10  # from accept to credentials
    heartbeat_seconds: int = 25  # the server speaks after so much silence: below the 30 s of the shortest proxies
    silence_seconds: int = 60  # R8: nothing came, pongs included
    expiry_grace_seconds: int = 30  # from a token's expiry to the close
    position_check_seconds: int = 20  # how long a lost last event may stay unseen

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"limit {field.name} must be a whole number, 0 or more (0: no limit); it is {value!r}")
        if self.silence_seconds and self.heartbeat_seconds * 2 > self.silence_seconds:
            raise ValueError(
                "limit silence_seconds must be at least twice heartbeat_seconds, "
                f"or live connections are cut off; they are {self.silence_seconds} and {self.heartbeat_seconds}"
            )
        if self.frame_bytes and self.payload_bytes > self.frame_bytes:
            raise ValueError(
                "limit frame_bytes must be at least payload_bytes, or no client can publish the largest payload; "
                f"they are {self.frame_bytes} and {self.payload_bytes}"
            )

    @property
    def recovery_page_bytes(self) -> int:
        """What one page of missed events may hold: never so much that it fills the backlog by itself."""
        if not self.backlog_bytes:
            return self.page_bytes
        return min(self.page_bytes or self.backlog_bytes, self.backlog_bytes // 4)

    def without_rates(self) -> Limits:
        """The same sizes and times with every bound of rate and count lifted, for load tests."""
        return replace(
            self,
            topics_per_connection=0,
            connections_per_user=0,
            connections=0,
            frames_per_second=0,
            publishes_per_second=0,
            bad_frames_per_minute=0,
            presence_per_second=0,
            waiting_frames=0,
        )


def exceeds(count: int, bound: int) -> bool:
    """Whether a count is above a bound, where 0 is no bound."""
    return bound != 0 and count > bound
