"""What the endpoints stand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidings.core.cursor import Cursor
from tidings.core.events import Draft, Exclude
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.http.keys import ApiKeys
from tidings.settings import Settings


class Backend(Protocol):
    """What the HTTP surface asks of the server. Each may raise BrokerUnavailable; publishing also PeerError."""

    async def publish_draft(
        self, draft: Draft, *, tenant: str | None, exclude: Exclude | None, idempotency_key: str | None
    ) -> Cursor:
        """Store one event that was checked, and answer its place."""
        ...

    async def head(self, key: TopicKey) -> Cursor:
        """Where a topic's newest event stands."""
        ...

    async def disconnect(self, *, user: str | None, tenant: str | None, session: str | None) -> int:
        """End the connections of a user, or one session; how many there were."""
        ...

    def ready(self) -> bool:
        """Whether the server takes connections now."""
        ...


@dataclass(frozen=True, slots=True)
class Surface:
    """The server behind the endpoints, its settings, who may call, and which topic types there are."""

    backend: Backend
    settings: Settings
    keys: ApiKeys
    catalog: Catalog
