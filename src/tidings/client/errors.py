"""What the client raises. Codes are those of ``spec/codes.json``, or the machine's own."""

from __future__ import annotations

from tidings.core.codes import ErrorCode
from tidings.core.errors import TidingsError

OUTAGES = {
    "disconnected": "the connection is lost; it is dialled again until it is back",
    "failed": "the connection has failed as often as was allowed; call reconnect() to try again",
    "blocked": "the server refused the connection for good",
}
_OWN = OUTAGES | {
    "not_connected": "There is no connection; wait for it, or publish with queue_seconds.",
    "connection_lost": (
        "The connection was lost before the answer came: it is unknown whether the event was stored; "
        "publish it again with the same idempotency_key, and it is stored once."
    ),
    "timeout": (
        "The server did not answer in time: it is unknown whether the event was stored; "
        "publish it again with the same idempotency_key, and it is stored once."
    ),
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
    :ivar cause: the server's words, or why it could not be reached, where that is known.
    """

    def __init__(self, reason: str | None, code: int | None, cause: str | None = None) -> None:
        self.reason = reason
        self.code = code
        self.cause = cause
        shown = "" if code is None else f" (close code {code})"
        why = "" if cause is None else f": {cause}"
        super().__init__(f"the connection has ended: {reason or 'closed'}{shown}{why}")


class PublishFailed(TidingsError):
    """A publish was refused, or its outcome is unknown.

    An event that is none raises PublishError instead, before anything is sent.

    :ivar code: ``connection_lost`` and ``timeout`` leave it unknown: repeat it with the same idempotency key.
    """

    def __init__(self, code: str, message: str | None) -> None:
        self.code = code
        super().__init__(sentence(code, message))
