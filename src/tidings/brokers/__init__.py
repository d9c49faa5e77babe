"""Brokers: where a topic's events are stored in order, and how other nodes hear of them.

Each file implements ``tidings.ports.Broker`` and passes ``tidings.testing.check_broker``. What may not
enter: subscribers, sessions, frames. A broker carries the body's bytes and never decodes them.
"""

from __future__ import annotations

from tidings.brokers.memory import MemoryBroker
from tidings.brokers.sqlite import SQLiteBroker
from tidings.brokers.sqlite_file import path_from_url
from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.ports import Broker, Clock

SUPPORTED = ("memory", "sqlite:///path")


def broker_from_url(url: str, limits: Limits, clock: Clock) -> Broker:
    """The broker that a setting names. Raises UsageError, one line, for one that there is not."""
    if url == "memory":
        return MemoryBroker(limits, clock)
    if url.startswith("sqlite:"):
        return SQLiteBroker(path_from_url(url), limits, clock)
    # Only what stands before the colon is shown: the rest of a URL may hold a password.
    shown = url.partition(":")[0][:40]
    raise UsageError(f"broker {shown!r} is not supported; use {' or '.join(SUPPORTED)}")


__all__ = ["SUPPORTED", "MemoryBroker", "SQLiteBroker", "broker_from_url"]
