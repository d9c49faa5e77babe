"""The one rule by which clients compare positions (``spec/vectors/cursors.json``)."""

from __future__ import annotations

from tidings.core.cursor import Cursor


def compare(one: object, other: object) -> int | None:
    """-1, 0 or 1 in the same epoch; None across epochs, or where one is no cursor: nothing is known."""
    try:
        a, b = Cursor.parse(str(one)), Cursor.parse(str(other))
    except ValueError:
        return None
    if a.epoch != b.epoch:
        return None
    return (a.offset > b.offset) - (a.offset < b.offset)
