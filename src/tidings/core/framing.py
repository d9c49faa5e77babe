"""One publication as the bytes of each transport, each made once, when the first that needs it asks.

Nothing per subscriber goes in here: the same object is pushed to every sink.
"""

from __future__ import annotations

from tidings.core.events import Publication, splice_cursor
from tidings.core.websocket.frames import text_frame

_LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")


class Framed:
    """A publication ready to be sent: ``json``, ``sse`` and ``websocket`` (bytes), and ``text`` (str)."""

    __slots__ = ("_json", "_sse", "_text", "publication", "websocket")

    websocket: bytes  #: the event as one WebSocket frame, header and all

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self._json: bytes | None = None
        self._sse: bytes | None = None
        self._text: str | None = None

    @property
    def json(self) -> bytes:
        """The event with its cursor, as compact JSON."""
        if self._json is None:
            self._json = splice_cursor(self.publication.body, self.publication.cursor)
        return self._json

    @property
    def text(self) -> str:
        """The same as text, for ASGI's ``websocket.send``."""
        if self._text is None:
            self._text = self.json.decode()
        return self._text

    def __getattr__(self, name: str) -> bytes:
        # Called only while the slot is empty: it is read for every delivery, and a property would cost a call.
        if name != "websocket":
            raise AttributeError(name)
        self.websocket = text_frame(self.json)
        return self.websocket

    @property
    def sse(self) -> bytes:
        """The same as one record of an event stream."""
        if self._sse is None:
            self._sse = sse_record(self.json)
        return self._sse


def sse_record(frame: bytes) -> bytes:
    """One JSON frame as a record of Server-Sent Events: ``data:`` and an empty line."""
    if b"\n" in frame or b"\r" in frame:
        # Only between JSON's tokens, as in text that a publisher had encoded: there a space means the same,
        # and a line break would begin a field of the publisher's own (C17).
        frame = frame.translate(_LINE_BREAKS_TO_SPACES)
    return b"data: %b\n\n" % frame
