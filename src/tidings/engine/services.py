"""What a connection works with: made once by the node, shared by all its connections."""

from __future__ import annotations

from dataclasses import dataclass

from tidings.core.hub import Hub
from tidings.core.limits import Limits
from tidings.engine.catalog import Catalog
from tidings.engine.feeds import Feeds
from tidings.engine.presence import Presences
from tidings.engine.publisher import Publisher
from tidings.engine.registry import Registry
from tidings.engine.ticker import Ticker
from tidings.ports import Authenticator, Authorizer, Clock, Lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one node."""

    limits: Limits
    clock: Clock
    authenticator: Authenticator
    authorizer: Authorizer
    catalog: Catalog
    hub: Hub
    feeds: Feeds
    publisher: Publisher
    registry: Registry
    ticker: Ticker
    presences: Presences
    lifecycle: Lifecycle | None
