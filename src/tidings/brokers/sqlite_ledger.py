"""What one write transaction does: places given out, events and keys stored, old ones dropped.

Everything here runs between BEGIN IMMEDIATE and COMMIT, so it is alone in the file. Work per transaction is
bounded by the number of events that it stores.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Literal, NamedTuple

from tidings.core.cursor import Cursor
from tidings.core.events import Exclude
from tidings.core.limits import Limits
from tidings.core.numbering import LastNumber, Numbered, Place, place
from tidings.core.topics import TopicKey
from tidings.ports import Stored

TOPIC_SECONDS_MIN = 86_400  # a topic that nobody uses keeps its position for so long at least
_SWEEP_EVENTS = 64  # dropped by age in one transaction, beside twice what it stores: so the backlog shrinks
_SWEEP_TOPICS = 16
_TRIM_EVENTS = 64  # dropped by number from one topic, likewise: matters where the limit was lowered


class StoredKey(NamedTuple):
    """A topic's key as the file has it: two byte strings, from which the key can be had back."""

    tenant: bytes
    topic: bytes

    @classmethod
    def of(cls, key: TopicKey) -> StoredKey:
        """One for each key: no tenant and the tenant of an empty name differ."""
        return cls(b"" if key.tenant is None else b":" + to_bytes(key.tenant), to_bytes(key.topic))

    @property
    def key(self) -> TopicKey:
        """The key again."""
        return TopicKey(to_text(self.tenant[1:]) if self.tenant else None, to_text(self.topic))

    @property
    def wildcard(self) -> StoredKey:
        """As ``TopicKey.wildcard``."""
        return StoredKey(self.tenant, self.topic.partition(b":")[0] + b":*")


def to_bytes(text: str) -> bytes:
    """Any text, unpaired surrogates included: a tenant is what the credentials say."""
    return text.encode("utf-8", "surrogatepass")


def to_text(data: bytes) -> str:
    """The text again."""
    return data.decode("utf-8", "surrogatepass")


def topic_milliseconds(limits: Limits) -> int:
    """After how long without use a topic, if nothing of it is left, may be forgotten."""
    return 1_000 * max(TOPIC_SECONDS_MIN, limits.history_seconds, limits.idempotency_seconds)


def is_use_stale(used_at: int, now: int, limits: Limits) -> bool:
    """Whether a topic's time of use has to be moved: rarely, for each move is a write."""
    return now - used_at > topic_milliseconds(limits) // 4


class _Topic:
    """A topic's row, while the transaction lasts."""

    __slots__ = ("dropped_by", "epoch", "id", "newest", "stored_count")

    def __init__(self, row_id: int, epoch: str, newest: int, dropped_by: Literal["trimmed", "expired"]) -> None:
        self.id = row_id
        self.epoch = epoch
        self.newest = newest
        self.dropped_by = dropped_by
        self.stored_count = 0


class Ledger:
    """One transaction. ``sweep`` first, so that what it frees can be used; ``finish`` before the COMMIT.

    :param now: milliseconds of the wall clock.
    """

    def __init__(self, connection: sqlite3.Connection, limits: Limits, now: int, new_epoch: Callable[[], str]) -> None:
        self._connection = connection
        self._limits = limits
        self._now = now
        self._new_epoch = new_epoch
        self._topics: dict[StoredKey, _Topic] = {}

    def publish(
        self,
        key: StoredKey,
        body: bytes,
        exclude: Exclude | None,
        idempotency_key: bytes | None,
        *,
        numbered: Numbered | None = None,
    ) -> Stored:
        """Give the event the next place of its topic, unless its key or its number is known. Raises OutOfSequence."""
        topic = self._topic(key)
        if idempotency_key is not None:
            known = self._known(topic, idempotency_key)
            if known is not None:
                return Stored(Cursor(topic.epoch, known), repeated=True)
        if numbered is not None:
            repeated = self._number(topic, numbered)
            if repeated is not None:
                return Stored(Cursor(topic.epoch, repeated), repeated=True)
        topic.newest += 1
        topic.stored_count += 1
        user = exclude.user if exclude is not None else None
        session = exclude.session if exclude is not None else None
        self._connection.execute(
            "INSERT INTO events (topic_id, position, stored_at, exclude_user, exclude_session, body)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                topic.id,
                topic.newest,
                self._now,
                None if user is None else to_bytes(user),
                None if session is None else to_bytes(session),
                body,
            ),
        )
        if idempotency_key is not None:
            self._connection.execute(
                "REPLACE INTO idempotency (topic_id, key, position, stored_at) VALUES (?, ?, ?, ?)",
                (topic.id, idempotency_key, topic.newest, self._now),
            )
        return Stored(Cursor(topic.epoch, topic.newest))

    def head(self, key: StoredKey) -> Cursor:
        """Where the topic stands; begins its life where it has none, and says that it is in use."""
        topic = self._topic(key)
        return Cursor(topic.epoch, topic.newest)

    def sweep(self, publishes: int) -> None:
        """Drop some of what is too old, the oldest first: events, then keys."""
        self._sweep_events(_SWEEP_EVENTS + 2 * publishes)
        if self._limits.idempotency_seconds:
            self._connection.execute(
                "DELETE FROM idempotency WHERE (topic_id, key) IN"
                " (SELECT topic_id, key FROM idempotency WHERE stored_at < ? ORDER BY stored_at LIMIT ?)",
                (self._now - 1_000 * self._limits.idempotency_seconds, _SWEEP_EVENTS + 2 * publishes),
            )

    def finish(self) -> None:
        """Write the new heads, drop what is too much of each topic, and forget topics of which nothing is left."""
        for topic in self._topics.values():
            if topic.stored_count:
                self._trim(topic)
                self._connection.execute(
                    "UPDATE topics SET newest = ?, dropped_by = ? WHERE id = ?",
                    (topic.newest, topic.dropped_by, topic.id),
                )
        self._sweep_topics()  # last: a topic that is used after a long time keeps its life

    def _topic(self, key: StoredKey) -> _Topic:
        topic = self._topics.get(key)
        if topic is not None:
            return topic
        row = self._connection.execute(
            "SELECT id, epoch, newest, dropped_by, used_at FROM topics WHERE tenant = ? AND topic = ?", key
        ).fetchone()
        if row is None:
            epoch = self._new_epoch()
            made = self._connection.execute(
                "INSERT INTO topics (tenant, topic, epoch, newest, dropped_by, used_at)"
                " VALUES (?, ?, ?, 0, 'trimmed', ?)",
                (*key, epoch, self._now),
            )
            assert made.lastrowid is not None
            topic = _Topic(made.lastrowid, epoch, 0, "trimmed")
        else:
            topic = _Topic(*row[:4])
            if is_use_stale(row[4], self._now, self._limits):
                self._connection.execute("UPDATE topics SET used_at = ? WHERE id = ?", (self._now, topic.id))
        self._topics[key] = topic
        return topic

    def _number(self, topic: _Topic, numbered: Numbered) -> int | None:
        """Take the number, or answer the offset that its event has got before. Raises OutOfSequence."""
        row = self._connection.execute(
            "SELECT number, token, position FROM numbers WHERE topic_id = ? AND source = ?", (topic.id, numbered.source)
        ).fetchone()
        last = None if row is None else LastNumber(*row)
        where = place(numbered, last)
        if where is Place.REPEAT and last is not None:
            return last.offset
        if where is Place.AFRESH:
            self._begin_afresh(topic)
        self._connection.execute(
            "REPLACE INTO numbers (topic_id, source, number, token, position) VALUES (?, ?, ?, ?, ?)",
            (topic.id, numbered.source, numbered.number, numbered.token, topic.newest + 1),
        )
        return None

    def _begin_afresh(self, topic: _Topic) -> None:
        """A new life that goes on counting. The old one's events go: readers would take them for the new one's."""
        topic.epoch = self._new_epoch()
        self._connection.execute("UPDATE topics SET epoch = ? WHERE id = ?", (topic.epoch, topic.id))
        self._connection.execute("DELETE FROM events WHERE topic_id = ?", (topic.id,))

    def _known(self, topic: _Topic, idempotency_key: bytes) -> int | None:
        """The offset that a key has been answered with, while the key holds."""
        row = self._connection.execute(
            "SELECT position, stored_at FROM idempotency WHERE topic_id = ? AND key = ?", (topic.id, idempotency_key)
        ).fetchone()
        if row is None:
            return None
        position, stored_at = row
        held = 1_000 * self._limits.idempotency_seconds
        return None if held and self._now - stored_at > held else int(position)

    def _trim(self, topic: _Topic) -> None:
        last = topic.newest - self._limits.history_events
        if not self._limits.history_events or last <= 0:
            return
        (first,) = self._connection.execute(
            "SELECT min(position) FROM events WHERE topic_id = ?", (topic.id,)
        ).fetchone()
        if first is not None and first <= last:
            last = min(last, first + _TRIM_EVENTS + 2 * topic.stored_count)
            self._connection.execute(
                "DELETE FROM events WHERE topic_id = ? AND position BETWEEN ? AND ?", (topic.id, first, last)
            )
            topic.dropped_by = "trimmed"

    def _sweep_events(self, count_max: int) -> None:
        if not self._limits.history_seconds:
            return
        last: int | None = None
        topic_ids: set[int] = set()
        rows = self._connection.execute(
            "SELECT sequence, topic_id, stored_at FROM events ORDER BY sequence LIMIT ?", (count_max,)
        )
        for sequence, topic_id, stored_at in rows:
            if not is_event_too_old(stored_at, self._now, self._limits):
                break
            last = sequence
            topic_ids.add(topic_id)
        rows.close()
        if last is not None:
            self._connection.execute("DELETE FROM events WHERE sequence <= ?", (last,))
            self._connection.executemany(
                "UPDATE topics SET dropped_by = 'expired' WHERE id = ?", [(topic_id,) for topic_id in topic_ids]
            )

    def _sweep_topics(self) -> None:
        before = self._now - topic_milliseconds(self._limits)
        for (topic_id,) in self._connection.execute(
            "SELECT id FROM topics WHERE used_at < ? ORDER BY used_at LIMIT ?", (before, _SWEEP_TOPICS)
        ).fetchall():
            (in_use,) = self._connection.execute(
                "SELECT EXISTS (SELECT 1 FROM events WHERE topic_id = :id)"
                " OR EXISTS (SELECT 1 FROM idempotency WHERE topic_id = :id)",
                {"id": topic_id},
            ).fetchone()
            if in_use:
                self._connection.execute("UPDATE topics SET used_at = ? WHERE id = ?", (self._now, topic_id))
            else:
                self._connection.execute("DELETE FROM numbers WHERE topic_id = ?", (topic_id,))
                self._connection.execute("DELETE FROM topics WHERE id = ?", (topic_id,))


def is_event_too_old(stored_at: int, now: int, limits: Limits) -> bool:
    """Whether an event has left the history by age.

    One that far in the future was stored by a clock that was wrong, and must not stand in the way for years.
    """
    return limits.history_seconds != 0 and abs(now - stored_at) > 1_000 * limits.history_seconds
