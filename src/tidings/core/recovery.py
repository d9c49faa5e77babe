"""Can what was missed be given whole? Facts from a broker in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.events import Publication


@dataclass(frozen=True, slots=True)
class History:
    """What a broker knows of a topic after some cursor, read in one moment.

    :param head: where the newest event stands.
    :param publications: those after the asked cursor, oldest first; fewer than there are, where limited.
    :param dropped_by: what removed the oldest events, if any were: their number or their age.
    """

    head: Cursor
    publications: tuple[Publication, ...] = ()
    dropped_by: Literal["trimmed", "expired"] = "trimmed"


def judge(since: Cursor, history: History, events_max: int) -> UnrecoveredReason | None:
    """Why the events after ``since`` cannot be given whole; None when they can (promise 1).

    ``events_max`` bounds how many may be missing, 0 for any number.
    """
    head = history.head
    if head.epoch != since.epoch:
        return UnrecoveredReason.EPOCH_CHANGED
    if since.offset > head.offset:
        return UnrecoveredReason.AHEAD  # the history lost its end, as after a failover: never "nothing missed"
    missing = head.offset - since.offset
    if missing == 0:
        return None
    if events_max and missing > events_max:
        return UnrecoveredReason.TOO_MANY
    expected = since.offset + 1
    if not history.publications:
        return UnrecoveredReason(history.dropped_by)
    for publication in history.publications:
        if publication.cursor != (since.epoch, expected):  # trimmed before, or while it was read (F04)
            return UnrecoveredReason(history.dropped_by)
        expected += 1
    return None
