"""What a publisher raises, beside ``PublishError`` for an event that is none."""

from __future__ import annotations

from tidings.core.errors import TidingsError


class Refused(TidingsError):
    """The server said no, and a repeat would not change that.

    :ivar code: one of ``spec/codes.json``; ``http_<status>`` where the answer is no Tidings server's.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(f"{code}: {message}")


class Unreachable(TidingsError):
    """No answer that counts came in time. What was to be published may be stored or not.

    :ivar idempotency_keys: of the events in question, in their order: a repeat with them is safe for ten minutes.
    """

    def __init__(self, why: str, idempotency_keys: tuple[str, ...] = ()) -> None:
        self.idempotency_keys = idempotency_keys
        advice = "; it may be stored, and a repeat with the same idempotency key is safe" if idempotency_keys else ""
        super().__init__(f"the Tidings server did not answer: {why}{advice}")
