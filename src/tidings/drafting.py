"""What a call of ``publish`` hands in, made an event that has been checked: for the server and for the outbox."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import Draft, Exclude, Outgoing, draft_from, format_timestamp
from tidings.core.limits import IDEMPOTENCY_KEY_LENGTH_MAX
from tidings.observe.trace import current_trace_id


def outgoing(
    topic: str,
    event: str,
    *,
    entity_id: object,
    payload: Any = None,
    user_id: str | None = None,
    tenant: str | None = None,
    timestamp: datetime | None = None,
    trace_id: str | None = None,
    version: int | None = None,
    exclude: Exclude | None = None,
    idempotency_key: str | None = None,
) -> Outgoing:
    """One of the events for ``publish_many``; the parameters are those of :meth:`tidings.Tidings.publish`.

    Raises PublishError, naming topic and field, for what no event can be; UsageError for a time without a zone.
    """
    draft = draft_of_call(
        topic, event, entity_id=entity_id, payload=payload, user_id=user_id, tenant=tenant, timestamp=timestamp,
        trace_id=trace_id, version=version,
    )  # fmt: skip
    if idempotency_key is not None and not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
        wrong = f"idempotency_key must be a string of 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters."
        raise PublishError(PeerError(ErrorCode.BAD_EVENT, wrong, topic=topic, path="idempotency_key"))
    return Outgoing(draft, tenant, exclude, idempotency_key)


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
