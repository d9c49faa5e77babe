"""What the endpoints stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tidings.core.cursor import Cursor
from tidings.core.events import Outgoing
from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.engine.catalog import Catalog
from tidings.http.keys import ApiKeys
from tidings.settings import Settings


class Backend(Protocol):
    """What the HTTP surface asks of the server. Each may raise BrokerUnavailable; publishing also PeerError."""

    async def publish_all(self, events: Sequence[Outgoing]) -> list[Cursor]:
        """Store events that were checked, in their order, and answer their places."""
        ...

    async def head(self, key: TopicKey) -> Cursor:
        """Where a topic's newest event stands."""
        ...

    async def present_on(self, key: TopicKey) -> Sequence[Member]:
        """Who is present on a topic. Raises PeerError too."""
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
