"""Writing an event in the user's own transaction: it is published if, and only if, that commits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from weakref import WeakSet

import msgspec
from sqlalchemy import Engine, Insert, MetaData, event, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, registry

from tidings.core.errors import PeerError, PublishError, UsageError
from tidings.core.events import Exclude, encode_body
from tidings.core.limits import Limits
from tidings.drafting import draft_of_call
from tidings.outbox.mapped import MappedClass, Watch
from tidings.outbox.relay import Relay
from tidings.outbox.schema import define

_USED = "tidings_outbox"  # in a session's info: it has added an event since it last was told of a commit


class Outbox:
    """The events that wait in the user's database (promise 3).

    :param metadata: that of the models, so that ``create_all`` makes the outbox's tables too; in a project with
        migrations leave it out, and call :func:`tidings.outbox.create_outbox` in one.
    :param limits: the server's, where they differ from the defaults: ``payload_bytes`` is checked at ``add``.
    """

    def __init__(self, metadata: MetaData | None = None, *, limits: Limits | None = None) -> None:
        self.tables = define(MetaData() if metadata is None else metadata)
        self._limits = limits or Limits()
        self._relays: WeakSet[Relay] = WeakSet()
        self._watch: Watch | None = None

        class Row:  # one for each outbox, for each may have a MetaData of its own
            """A row that waits for the session's next flush."""

            def __init__(self, **values: Any) -> None:
                self.__dict__.update()
                for name, value in values.items():
                    setattr(self, name, value)

        registry(metadata=self.tables.events.metadata).map_imperatively(Row, self.tables.events)
        self._row = Row

    def add(
        self,
        session: Session | AsyncSession,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any = None,
        **options: Any,
    ) -> None:
        """Publish the event when the session's transaction commits, in the order of the commits of its topic.

        It is a row of that transaction, so what rolls back, a savepoint included, was never said.

        :param session: synchronous or asynchronous; nothing is awaited here.
        :param entity_id: which entity it is about; flush first where the database makes the id.
        :param payload: as it is now: what is changed later is another event.
        :param options: ``user_id``, ``tenant``, ``timestamp``, ``trace_id``, ``version`` and ``exclude``, as
            :meth:`tidings.Tidings.publish` takes them.

        Raises PublishError, naming topic and field, for an event that could not be published.
        """
        session.add(self._row(**self._values(topic, event, entity_id=entity_id, payload=payload, **options)))
        self.listen(session.sync_session if isinstance(session, AsyncSession) else session)

    def insert(self, topic: str, event: str, *, entity_id: object, payload: Any = None, **options: Any) -> Insert:
        """The same as a statement, for code without a session: ``connection.execute(outbox.insert(...))``."""
        return insert(self.tables.events).values(
            **self._values(topic, event, entity_id=entity_id, payload=payload, **options)
        )

    def publishes(self, topic: str, **options: Any) -> Callable[[MappedClass], MappedClass]:
        """Decorate a mapped class: its inserts, updates and deletes publish by themselves.

        :param options: those of :class:`.mapped.Rule`.
        """
        if self._watch is None:
            self._watch = Watch(self)
        return self._watch.decorator(topic, **options)

    def relay(self, engine: Engine | AsyncEngine, **options: Any) -> Relay:
        """What publishes the rows that have been committed: ``Tidings(..., outbox=outbox.relay(engine))``.

        :param options: those of :class:`.relay.Relay`.
        """
        relay = Relay(engine, **options)
        self._relays.add(relay)
        return relay

    def wake(self) -> None:
        """Say that something was committed. Safe from any thread; needless but for code that uses ``insert``."""
        for relay in list(self._relays):
            relay.wake()

    def listen(self, session: Session) -> None:
        """Wake the relay of this process when the session commits."""
        if _USED not in session.info:
            event.listen(session, "after_commit", self._committed)
        session.info[_USED] = True

    def _committed(self, session: Session) -> None:
        # Also called when a savepoint is released: then the relay finds nothing, and looks again soon.
        if session.info.get(_USED):
            session.info[_USED] = session.in_nested_transaction()
            self.wake()

    def _values(
        self,
        topic: str,
        event: str,
        *,
        entity_id: object,
        payload: Any,
        user_id: str | None = None,
        tenant: str | None = None,
        timestamp: datetime | None = None,
        trace_id: str | None = None,
        version: int | None = None,
        exclude: Exclude | None = None,
    ) -> dict[str, Any]:
        if entity_id is None:
            raise UsageError("entity_id is None: flush the session first, so that the database makes the id")
        draft = draft_of_call(
            topic, event, entity_id=entity_id, payload=payload, user_id=user_id, tenant=tenant, timestamp=timestamp,
            trace_id=trace_id, version=version,
        )  # fmt: skip
        try:
            body = msgspec.json.decode(encode_body(draft, self._limits), type=_Body)
        except PeerError as fault:
            raise PublishError(fault) from None
        return {
            "topic": topic,
            "event": event,
            "entity_id": draft.data["entity_id"],
            "payload": None if payload is None else bytes(body.data["payload"]).decode(),
            "user_id": draft.data.get("user_id"),
            "tenant": tenant,
            "timestamp": draft.data.get("timestamp"),
            "trace_id": draft.trace_id,
            "version": version,
            "exclude_user": None if exclude is None else exclude.user,
            "exclude_session": None if exclude is None else exclude.session,
        }


class _Body(msgspec.Struct):
    """The payload's own text, as it will be sent."""

    data: dict[str, msgspec.Raw]
