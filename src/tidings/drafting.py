"""What a call of ``publish`` hands in, made an event that has been checked: for the server and for the outbox."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import Draft, draft_from, format_timestamp
from tidings.observe.trace import current_trace_id


def draft_of_call(
    topic: str,
    event: str,
    *,
    entity_id: object,
    payload: Any,
    user_id: str | None,
    tenant: str | None,
    timestamp: datetime | None,
    trace_id: str | None,
    version: int | None,
) -> Draft:
    """Without a trace id it gets that of the request that is being served, else a new one.

    Raises PublishError, naming the field, for what no event can be; UsageError for a time without a zone.
    """
    # None is no id: an object that was not flushed yet has none.
    data: dict[str, Any] = {"entity_id": None if entity_id is None else str(entity_id), "payload": payload}
    if user_id is not None:
        data["user_id"] = str(user_id)
    if tenant is not None:
        data["tenant_id"] = tenant
    try:
        if timestamp is not None:
            data["timestamp"] = format_timestamp(timestamp)
        return draft_from({
            "topic": topic,
            "event": event,
            "data": data,
            "trace_id": trace_id or current_trace_id() or secrets.token_hex(16),
            "version": version,
        })  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise UsageError(f"timestamp: {error}") from None
    except PeerError as fault:
        raise PublishError(fault) from None
