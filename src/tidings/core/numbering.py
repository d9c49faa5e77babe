"""The places that an outbox gives to its events, and what a broker makes of them.

An outbox numbers the events of each topic at their commit, from 1 and without a hole. The broker remembers the
last number of each (topic, source) with the event, and takes the next one only: a repeat is known as one
without a time window, and two relays at work at the same moment can neither reorder nor double (promise 3).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tidings.core.errors import TidingsError


class Numbered(NamedTuple):
    """An event's place in what one source publishes on one topic.

    :param source: names the outbox: 1 to 64 characters, made once at random with its tables.
    :param number: 1 for the topic's first event, then without a hole.
    :param token: of this event alone, up to 64 characters. A number that comes with another token is another
        event: the source was restored from a backup.
    :param afresh: take the event whatever the last number was, under a new epoch: subscribers are told.
    """

    source: str
    number: int
    token: str
    afresh: bool = False


class LastNumber(NamedTuple):
    """What a broker remembers of a source on a topic: its last event, and the offset that it got."""

    number: int
    token: str
    offset: int


class Place(Enum):
    """What a broker does with a numbered event."""

    NEXT = "next"
    AFRESH = "afresh"
    REPEAT = "repeat"


class OutOfSequence(TidingsError):
    """The number does not follow the last one. Nothing was stored.

    :ivar last: the source's last number on the topic, and its token; None where the broker knows of none.
    """

    def __init__(self, numbered: Numbered, last: LastNumber | None) -> None:
        self.last = last
        super().__init__(f"number {numbered.number} does not follow {0 if last is None else last.number}")


def place(numbered: Numbered, last: LastNumber | None) -> Place:
    """Where the event goes. Raises OutOfSequence for a number that neither follows nor repeats the last.

    A topic on which the broker knows nothing of the source takes 1 only: with a higher number the events before
    it may have been lost with what the broker knew, or be on their way, and only the source can tell.
    """
    if numbered.afresh:
        return Place.AFRESH
    if numbered.number == (1 if last is None else last.number + 1):
        return Place.NEXT
    if last is not None and numbered.number == last.number and numbered.token == last.token:
        return Place.REPEAT
    raise OutOfSequence(numbered, last)
