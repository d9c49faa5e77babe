"""What an application publishes, whether or not anybody listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from tidings.core.cursor import Cursor
from tidings.core.events import Event, Exclude, splice_cursor
from tidings.core.numbering import Numbered
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Stored

if TYPE_CHECKING:
    from tidings.server import Tidings  # whoever has one has loaded it


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One event, as subscribers would read it: its payload is what JSON made of it.

    :ivar tenant: whose topic it went to.
    :ivar exclude: who was left out.
    :ivar idempotency_key: as given.
    :ivar repeated: its key was known, so nothing was stored or sent.
    """

    event: Event
    tenant: str | None
    exclude: Exclude | None
    idempotency_key: str | None
    repeated: bool

    @property
    def topic(self) -> str:
        """Where it went."""
        return self.event.topic

    @property
    def name(self) -> str:
        """``UPDATED`` and the like."""
        return self.event.event

    @property
    def entity_id(self) -> str:
        """Which entity it is about."""
        return self.event.entity_id

    @property
    def payload(self) -> Any:
        """What happened to it."""
        return self.event.payload


class _Noting:
    """Stands before a broker on the publisher's side, and notes what was stored."""

    def __init__(self, broker: Broker, notes: list[Published]) -> None:
        self._broker = broker
        self._notes = notes

    async def publish(
        self,
        key: TopicKey,
        body: bytes,
        *,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
        numbered: Numbered | None = None,
    ) -> Stored:
        stored = await self._broker.publish(
            key, body, exclude=exclude, idempotency_key=idempotency_key, numbered=numbered
        )
        event = msgspec.json.decode(splice_cursor(body, stored.cursor), type=Event)
        self._notes.append(
            Published(
                event=event,
                tenant=key.tenant,
                exclude=exclude,
                idempotency_key=idempotency_key,
                repeated=stored.repeated,
            )
        )
        return stored

    async def head(self, key: TopicKey) -> Cursor:
        return await self._broker.head(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


@contextmanager
def published(live: Tidings) -> Iterator[list[Published]]:
    """A list that grows with each event that ``live`` stores while the block runs: by your code, over HTTP, by clients.

    It is published all the same. Works in plain and in async tests, and needs no client.
    """
    notes: list[Published] = []
    publisher = live.node.publisher
    broker = publisher._broker
    publisher._broker = _Noting(broker, notes)
    try:
        yield notes
    finally:
        publisher._broker = broker
