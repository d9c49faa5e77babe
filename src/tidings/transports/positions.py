"""Where one event stream stands, topic by topic: the ``id:`` that a plain ``EventSource`` brings back."""

from __future__ import annotations

from msgspec import UNSET

from tidings.core.cursor import Cursor
from tidings.core.events import Event, Publication
from tidings.core.frames import AnyServerFrame, Subscribed, TopicAnswer, Unsubscribed
from tidings.transports.asked import LAST_EVENT_ID_BYTES_MAX


class Positions:
    """One position for each topic that is held by its name, moved by what is sent.

    Frames of a wildcard move no position; a position never goes back within an epoch, unless the client is
    told so by ``recovered: false``.
    """

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[str, Cursor] = {}  # the one that moved last stands last

    def answered(self, frame: AnyServerFrame | Event | None) -> bytes:
        """A control frame goes out: the ``id:`` line to write before it, or nothing."""
        if isinstance(frame, Subscribed):
            for topic, answer in frame.topics.items():
                self._start(topic, answer)
            return self._line()
        if isinstance(frame, Unsubscribed):
            for topic in frame.topics:
                self._at.pop(topic, None)
            return self._line()
        return b""

    def moved(self, publication: Publication) -> bytes:
        """An event goes out: the same."""
        topic = publication.key.topic
        if topic not in self._at:
            return b""
        del self._at[topic]
        self._at[topic] = publication.cursor
        return self._line()

    def _start(self, topic: str, answer: TopicAnswer) -> None:
        before = self._at.pop(topic, None)
        if answer.cursor is None:
            return
        start = Cursor.parse(answer.cursor)
        # A topic that is held already answers its last completed fan-out, and one may be under way.
        keeps = before is not None and answer.reason is UNSET and before.after(start) is True
        self._at[topic] = before if keeps and before is not None else start

    def _line(self) -> bytes:
        """``id: topic=cursor,topic=cursor``, those that moved last first; what does not fit is left out.

        Topics and cursors are of alphabets without line breaks, commas and equals signs (C16, C17).
        """
        entries: list[str] = []
        room = LAST_EVENT_ID_BYTES_MAX
        for topic in reversed(self._at):
            entry = f"{topic}={self._at[topic]}"
            room -= len(entry) + 1
            if room < 0:
                break
            entries.append(entry)
        return f"id: {','.join(entries)}\n".encode()
