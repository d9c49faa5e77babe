"""What is checked before anything is sent: by the server's own rules, and where the call is made.

A frame that is larger than the server takes costs the connection, and would again after each reconnect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tidings.client.errors import TopicDenied
from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import draft_from, encode_body
from tidings.core.limits import Limits
from tidings.core.topics import check_topic


def check_transports(names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Raise UsageError unless these are transports, each once."""
    chosen = (names,) if isinstance(names, str) else tuple(names)
    if not chosen or not set(chosen) <= set(known) or len(set(chosen)) < len(chosen):
        raise UsageError(
            f"transports must be some of {', '.join(known)}, each once; they are {', '.join(chosen) or 'none'}"
        )
    return chosen


def check_subscribable(topic: str) -> None:
    """Raise TopicDenied ``bad_topic`` unless this is a topic or ``type:*``."""
    try:
        check_topic(topic, wildcard=True)
    except PeerError as fault:
        raise TopicDenied(fault.topic or topic, fault.code.value, fault.message) from None


def check_present(topic: str) -> None:
    """Raise TopicDenied unless this is a topic: nobody can be present on ``type:*``."""
    try:
        check_topic(topic)
    except PeerError as fault:
        raise TopicDenied(fault.topic or topic, fault.code.value, fault.message) from None


def plain_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event to publish, as plain JSON.

    Raises PublishError, naming topic and field, for what is no event, cannot be JSON (A11), or is larger than
    a server takes by default.
    """
    try:
        return msgspec.json.decode(encode_body(draft_from(event), Limits()), type=dict[str, Any])
    except PeerError as fault:
        raise PublishError(fault) from None
