"""What the client raises. Codes are those of ``spec/codes.json``, or the machine's own."""

from __future__ import annotations

from tidings.core.codes import ErrorCode
from tidings.core.errors import TidingsError

_OWN = {
    "not_connected": "There is no connection; wait for it, or publish with queue_seconds.",
    "connection_lost": "The connection was lost before the answer came: it is unknown whether the event was stored.",
    "timeout": "The server did not answer in time: it is unknown whether the event was stored.",
    "closed": "The client has been closed.",
}


def sentence(code: str, message: str | None) -> str:
    """The server's words, or ours for the code."""
    if message is not None:
        return message
    if code in _OWN:
        return _OWN[code]
    return ErrorCode(code).sentence if code in set(ErrorCode) else code


class TopicDenied(TidingsError):
    """The server refused a topic, or took it away.

    :ivar topic: which.
    :ivar code: why, such as ``forbidden`` or ``unknown_topic_type``.
    """

    def __init__(self, topic: str, code: str, message: str | None) -> None:
        self.topic = topic
        self.code = code
        super().__init__(f"{topic}: {sentence(code, message)}")


class ConnectionEnded(TidingsError):
    """There will be no connection until ``reconnect()``.

    :ivar reason: ``unauthorized``, ``forbidden``, ``refused``, ``ended``, or what failed too often.
    :ivar code: the close code behind it, where there was one.
    """

    def __init__(self, reason: str | None, code: int | None) -> None:
        self.reason = reason
        self.code = code
        shown = "" if code is None else f" (close code {code})"
        super().__init__(f"the connection has ended: {reason or 'closed'}{shown}")


class PublishFailed(TidingsError):
    """A publish was refused, or its outcome is unknown.

    :ivar code: ``connection_lost`` and ``timeout`` leave it unknown: repeat it with the same idempotency key.
    """

    def __init__(self, code: str, message: str | None) -> None:
        self.code = code
        super().__init__(sentence(code, message))
