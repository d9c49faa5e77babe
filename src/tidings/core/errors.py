"""Two kinds of fault: the peer's (answered with a code) and the caller's (raised)."""

from __future__ import annotations

from tidings.core.codes import CloseCode, ErrorCode


class TidingsError(Exception):
    """The base of every error that Tidings raises."""


class PeerError(TidingsError):
    """The other side broke a rule. Becomes an ``error`` frame, or an HTTP error body.

    :param code: one of the closed list in ``spec/codes.json``.
    :param message: one sentence with the names filled in: what happened and what to do.
    :param topic: the topic it is about, if it is about one.
    :param close: the close code that follows, if the connection cannot go on.
    :param path: where in the event the fault is, such as ``data.entity_id``.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        topic: str | None = None,
        close: CloseCode | None = None,
        path: str | None = None,
    ) -> None:
        self.code = code
        self.message = message if message is not None else code.sentence
        self.topic = topic
        self.close = close
        self.path = path
        super().__init__(self.message)


class UsageError(TidingsError):
    """The caller of the Python API broke a rule: raised where the call is made, with what to do instead."""


class PublishError(UsageError):
    """``publish`` refused the event before it reached the broker; no subscriber was touched.

    :ivar code: the code that an HTTP publisher would get for the same event.
    """

    def __init__(self, fault: PeerError) -> None:
        self.code = fault.code
        self.topic = fault.topic
        self.path = fault.path
        super().__init__(f"{fault.code.value}: {fault.message}")


class BrokerUnavailable(TidingsError):
    """The broker did not answer. A publish may or may not be stored: repeat it with the same idempotency key."""
