"""Which topic types there are: a subscription to one that nothing publishes is seen, never silent (A12)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from difflib import get_close_matches

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.topics import topic_type

log = logging.getLogger("tidings.catalog")

_USER = "user"  # every application has it: user:{id}, whether it is declared or not


class Catalog:
    """The declared types, or, where none are, those that were seen.

    :param declared: types or patterns (``gift-list``, ``gift-list:{list_id}``); None where none are declared.
    """

    def __init__(self, declared: Iterable[str] | None) -> None:
        self._declared = None if declared is None else {topic_type(name) for name in declared} | {_USER}
        self._seen: set[str] = set()
        self._warned: set[str] = set()

    def seen(self, topic: str) -> None:
        """An event of the topic went by."""
        self._seen.add(topic_type(topic))

    def unknown(self, topic: str) -> PeerError | None:
        """Why a topic is refused where types are declared."""
        kind = topic_type(topic)
        if self._declared is None or kind in self._declared:
            return None
        return PeerError(
            ErrorCode.UNKNOWN_TOPIC_TYPE,
            f"No topic type {kind!r} is declared{_nearest(kind, self._declared)}. "
            f"Declare it with Tidings(topics=[...]), or mend the name.",
            topic=topic,
        )

    def warning(self, topic: str) -> str | None:
        """What to tell a subscriber of a type that nothing has published, where types are not declared."""
        kind = topic_type(topic)
        if self._declared is not None or kind in self._seen or kind == _USER:
            return None
        text = f"Nothing has been published to a topic of type {kind!r} since the server started"
        text += f"{_nearest(kind, self._seen)}."
        if kind not in self._warned:
            self._warned.add(kind)
            log.warning("%s Subscribed: %s", text, topic)
        return text


def _nearest(kind: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = get_close_matches(kind, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}"
    return f"; there are: {', '.join(names[:10])}" if names else ""
