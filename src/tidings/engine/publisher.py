"""The way in: check, encode the body once, store. What comes of it is told by the broker to every node."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidings.core.codes import ErrorCode
from tidings.core.cursor import Cursor
from tidings.core.errors import PeerError
from tidings.core.events import Draft, Exclude, Outgoing, encode_body, format_timestamp, in_utc
from tidings.core.identity import Identity
from tidings.core.limits import IDEMPOTENCY_KEY_LENGTH_MAX, Limits
from tidings.core.numbering import Numbered
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Clock, Stored

log = logging.getLogger("tidings.publisher")


class Publisher:
    """Publishes drafts that were checked by ``core.events.draft_from``."""

    def __init__(self, broker: Broker, limits: Limits, clock: Clock, *, on_published: Callable[[str], None]) -> None:
        self._broker = broker
        self._on_published = on_published
        self._limits = limits
        self._clock = clock

    async def publish(
        self,
        draft: Draft,
        *,
        tenant: str | None = None,
        exclude: Exclude | None = None,
        idempotency_key: str | None = None,
    ) -> Stored:
        """Store one event and answer its place.

        Raises PeerError for what is wrong with the event, and BrokerUnavailable, after which a repeat with
        the same idempotency key is safe.
        """
        return (await self.publish_all([Outgoing(draft, tenant, exclude, idempotency_key)]))[0]

    async def publish_all(self, events: Sequence[Outgoing]) -> list[Stored]:
        """Store several events in order (R11), without waiting for one before the next is asked for.

        All are checked and encoded first: one bad, none published. Raises as ``publish``; then some may be stored.
        """
        encoded = [self._encode(event.draft, event.tenant, event.idempotency_key) for event in events]
        publish = self._broker.publish
        calls = [
            publish(key, body, exclude=event.exclude, idempotency_key=event.idempotency_key)
            for (key, body), event in zip(encoded, events, strict=True)
        ]
        # A broker takes the calls of one caller in the order of the calls.
        stored = [await calls[0]] if len(calls) == 1 else list(await asyncio.gather(*calls))
        for event, one in zip(events, stored, strict=True):
            self._tell(event.draft, one)
        return stored

    async def publish_for_client(
        self, draft: Draft, identity: Identity, *, idempotency_key: str | None = None
    ) -> Stored:
        """Store a client's event: who it is comes from its credentials, never from its message (promise 4).

        A client's idempotency key holds by user too: nobody can take another's.
        """
        data = {**draft.data, "user_id": identity.user}
        if identity.tenant is None:
            data.pop("tenant_id", None)
        else:
            data["tenant_id"] = identity.tenant
        draft = msgspec.structs.replace(draft, data=data)
        topic_key, body = self._encode(draft, identity.tenant, idempotency_key)
        key = None if idempotency_key is None else f"{len(identity.user)}:{identity.user}:{idempotency_key}"
        stored = await self._broker.publish(topic_key, body, idempotency_key=key)
        self._tell(draft, stored)
        return stored

    async def publish_numbered(
        self, draft: Draft, *, tenant: str | None, exclude: Exclude | None, numbered: Numbered
    ) -> Stored:
        """Store an event of an outbox. Raises PeerError, OutOfSequence, and BrokerUnavailable."""
        topic_key, body = self._encode(draft, tenant, None)
        stored = await self._broker.publish(topic_key, body, exclude=exclude, numbered=numbered)
        self._tell(draft, stored)
        return stored

    async def head(self, key: TopicKey) -> Cursor:
        """Where a topic stands now. Raises BrokerUnavailable."""
        return await self._broker.head(key)

    def _encode(self, draft: Draft, tenant: str | None, idempotency_key: str | None) -> tuple[TopicKey, bytes]:
        if idempotency_key is not None and not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_LENGTH_MAX:
            raise PeerError(
                ErrorCode.BAD_EVENT,
                f"idempotency_key must be a string of 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} characters.",
                topic=draft.topic,
                path="idempotency_key",
            )
        data: dict[str, Any] = dict(draft.data)
        named = data.get("tenant_id")
        if named is not None and named != tenant:
            raise PeerError(
                ErrorCode.FORBIDDEN,
                f"data.tenant_id of the event for {draft.topic} is not the tenant that it is published for.",
                topic=draft.topic,
                path="data.tenant_id",
            )
        if tenant is not None:
            data["tenant_id"] = tenant
        timestamp = data.get("timestamp")
        data["timestamp"] = format_timestamp(self._clock.now()) if timestamp is None else in_utc(timestamp)
        return TopicKey(tenant, draft.topic), encode_body(msgspec.structs.replace(draft, data=data), self._limits)

    def _tell(self, draft: Draft, stored: Stored) -> None:
        self._on_published(draft.topic)
        log.debug(
            "published %s on %s at %s", draft.event, draft.topic, stored.cursor, extra={"trace_id": draft.trace_id}
        )
