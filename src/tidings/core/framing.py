"""One publication as the bytes of each transport, each made once, when the first that needs it asks.

Nothing per subscriber goes in here: the same object is pushed to every sink.
"""

from __future__ import annotations

from tidings.core.events import Publication, splice_cursor


class Framed:
    """A publication ready to be sent: ``json`` (bytes) and ``text`` (str)."""

    __slots__ = ("_json", "_text", "publication")

    def __init__(self, publication: Publication) -> None:
        self.publication = publication
        self._json: bytes | None = None
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
