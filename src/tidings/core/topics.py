"""The topic: ``resource-type:identifier``, its grammar, its key, and its patterns.

Patterns belong to the server (R2): ``*`` is one segment, at the end one or more; ``{name}`` binds one.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.limits import TOPIC_LENGTH_MAX

_TYPE = r"[a-z0-9][a-z0-9-]{0,63}"
_SEGMENT = r"[A-Za-z0-9_.@~-]+"
_TOPIC = re.compile(rf"{_TYPE}(?::{_SEGMENT})+")
_WILDCARD = re.compile(rf"{_TYPE}:\*")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-")

SYSTEM_TOPIC = "system"


class TopicKey(NamedTuple):
    """The only name of a topic inside the server: a tenant never sees another's (promise 4).

    A pair, never a joined string: joined strings collide (``a`` + ``_b`` and ``a_`` + ``b``).
    """

    tenant: str | None
    topic: str

    @property
    def wildcard(self) -> TopicKey:
        """The key under which ``type:*`` of this topic is listened to."""
        return TopicKey(self.tenant, f"{topic_type(self.topic)}:*")


def is_topic(text: str) -> bool:
    """Whether the text is a topic that can be published to."""
    return len(text) <= TOPIC_LENGTH_MAX and _TOPIC.fullmatch(text) is not None


def is_wildcard(text: str) -> bool:
    """Whether the text is ``type:*``, the one wildcard that a client may subscribe to."""
    return len(text) <= TOPIC_LENGTH_MAX and _WILDCARD.fullmatch(text) is not None


def check_topic(topic: str, *, wildcard: bool = False) -> None:
    """Raise PeerError ``bad_topic`` unless this is a topic, or, where allowed, ``type:*``."""
    if is_topic(topic) or (wildcard and is_wildcard(topic)):
        return
    shown = topic if len(topic) <= 60 else topic[:57] + "..."
    if len(topic) > TOPIC_LENGTH_MAX:
        why = f"it has {len(topic)} characters, and {TOPIC_LENGTH_MAX} is the limit"
    elif ":" not in topic:
        why = 'it has no colon; write resource-type:identifier, such as "gift-list:123"'
    else:
        why = "write resource-type:identifier, in lower case, digits and hyphens before the colon"
    # repr: control characters of a hostile topic must not reach a log or a terminal raw.
    raise PeerError(ErrorCode.BAD_TOPIC, f"{shown!r} is not a topic: {why}.", topic=shown, path="topic")


def topic_type(topic: str) -> str:
    """What stands before the first colon."""
    return topic.partition(":")[0]


def escape_identifier(identifier: str) -> str:
    """An identifier as a topic can hold it: any other character becomes ``~XX``, its UTF-8 bytes in hex."""
    return "".join(char if char in _PLAIN else "".join(f"~{byte:02X}" for byte in char.encode()) for char in identifier)


def user_topic(user: str) -> str:
    """The topic of one user, ``user:{id}``, which by default only that user may subscribe to.

    Raises ValueError for an id that no topic can hold: an empty one, or one too long when escaped.
    """
    topic = f"user:{escape_identifier(user)}"
    if not is_topic(topic):
        raise ValueError(f"a user id of {len(user)} characters makes no topic: it must be 1 to about 180 characters")
    return topic


class TopicPattern:
    """A rule's left side: ``gift-list:{list_id}``, ``user:*:notifications``, ``*:messages``, ``gift-list:*``."""

    __slots__ = ("_regex", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        parts = text.split(":")
        if len(parts) < 2 or not all(parts):
            raise ValueError(f"{text!r} is not a topic pattern: write it as gift-list:{{list_id}} or gift-list:*")
        self.names = tuple(part[1:-1] for part in parts if part.startswith("{"))
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"{text!r} names a segment twice")
        pieces = [self._piece(part, last=index == len(parts) - 1) for index, part in enumerate(parts)]
        self._regex = re.compile(":".join(pieces))

    def _piece(self, part: str, *, last: bool) -> str:
        if part == "*":
            return f"{_SEGMENT}(?::{_SEGMENT})*" if last else _SEGMENT
        if part.startswith("{") and part.endswith("}") and part[1:-1].isidentifier():
            return f"(?P<{part[1:-1]}>{_SEGMENT})"
        if re.fullmatch(_SEGMENT, part) is None:
            raise ValueError(f"{self.text!r} is not a topic pattern: {part!r} is no segment")
        return re.escape(part)

    @property
    def weight(self) -> tuple[int, int]:
        """How exact the pattern is: of two that match, the one with more literal segments decides."""
        parts = self.text.split(":")
        literal = sum(part != "*" and not part.startswith("{") for part in parts)
        return literal, len(self.names)

    def match(self, topic: str) -> dict[str, str] | None:
        """The segments that the pattern binds, or None where the topic does not match.

        A wildcard subscription ``gift-list:*`` matches only the pattern written so: ``{list_id}`` never binds ``*``.
        """
        if topic.endswith(":*"):
            return {} if topic == self.text else None
        found = self._regex.fullmatch(topic)
        return None if found is None else found.groupdict()
