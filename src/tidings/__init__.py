"""Tidings: your database changes; every open screen follows, in order, with nothing lost.

    live = Tidings(secret=..., authorize={"gift-list:{list_id}": may_see_list})
    live.mount(app)
    await live.publish("gift-list:123", "UPDATED", entity_id=gift.id, payload=gift)

Names are loaded when they are first asked for: the client and the validator do not load the server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings.auth.rules import Access
    from tidings.core.codes import CloseCode, ErrorCode
    from tidings.core.errors import BrokerUnavailable, PeerError, PublishError, TidingsError, UsageError
    from tidings.core.events import Event, EventData, Exclude, Outgoing
    from tidings.core.identity import Identity
    from tidings.core.limits import Limits
    from tidings.core.topics import user_topic
    from tidings.drafting import outgoing
    from tidings.ports import Credentials
    from tidings.presence import Present
    from tidings.server import Tidings
    from tidings.settings import ConfigurationError, Settings

__version__ = "0.1.0"

__all__ = [
    "Access",
    "BrokerUnavailable",
    "CloseCode",
    "ConfigurationError",
    "Credentials",
    "ErrorCode",
    "Event",
    "EventData",
    "Exclude",
    "Identity",
    "Limits",
    "Outgoing",
    "PeerError",
    "Present",
    "PublishError",
    "Settings",
    "Tidings",
    "TidingsError",
    "UsageError",
    "__version__",
    "outgoing",
    "user_topic",
]

_HOME = {
    "Access": "auth.rules",
    "BrokerUnavailable": "core.errors",
    "CloseCode": "core.codes",
    "ConfigurationError": "settings",
    "Credentials": "ports",
    "ErrorCode": "core.codes",
    "Event": "core.events",
    "EventData": "core.events",
    "Exclude": "core.events",
    "Identity": "core.identity",
    "Limits": "core.limits",
    "Outgoing": "core.events",
    "PeerError": "core.errors",
    "Present": "presence",
    "PublishError": "core.errors",
    "Settings": "settings",
    "Tidings": "server",
    "TidingsError": "core.errors",
    "UsageError": "core.errors",
    "outgoing": "drafting",
    "user_topic": "core.topics",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'tidings' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"tidings.{home}"), name)
    return value
