"""Mapped classes that publish by themselves: what a session flushes becomes events of the same transaction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from tidings.core.errors import UsageError
from tidings.core.events import Exclude
from tidings.core.topics import escape_identifier

if TYPE_CHECKING:
    from tidings.outbox.box import Outbox

MappedClass = TypeVar("MappedClass", bound=type[Any])

_FIELD = re.compile(r"\{(\w+)\}")
_FLUSHED = "tidings_outbox_flushed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How changes of one class become events.

    :param topic: such as ``gift-list:{list_id}``: the braces name attributes. An entity that moves to another
        topic is DELETED on the old one and ADDED on the new one.
    :param payload: what the event carries of the object: a function, or a pydantic model that is read from its
        attributes. None carries nothing, and clients fetch the entity. A deleted one carries nothing.
    :param entity_id: the attribute that names the entity.
    :param tenant: the attribute that names the tenant.
    :param user_id: asked at the flush who caused it, such as a context variable's ``get``.
    :param exclude: asked at the flush whom to leave out.
    :param version: the version of the payload's schema.
    :param when: which objects publish; all, unless given.
    """

    topic: str
    payload: Callable[[Any], Any] | None = None
    entity_id: str = "id"
    tenant: str | None = None
    user_id: Callable[[], str | None] | None = None
    exclude: Callable[[], Exclude | None] | None = None
    version: int | None = None
    when: Callable[[Any], bool] | None = None

    def topic_of(self, values: Callable[[str], Any]) -> str | None:
        """The topic, with values of attributes escaped into it; None where one of them is None."""
        found = {name: values(name) for name in _FIELD.findall(self.topic)}
        if any(value is None for value in found.values()):
            return None
        return _FIELD.sub(lambda match: escape_identifier(str(found[match[1]])), self.topic)

    def render(self, entity: Any) -> Any:
        """The payload of an object."""
        if self.payload is None:
            return None
        validate = getattr(self.payload, "model_validate", None)
        return self.payload(entity) if validate is None else validate(entity, from_attributes=True)


class _Change(NamedTuple):
    rule: Rule
    entity: Any
    event: str
    topic: str
    entity_id: Any
    tenant: str | None


class Watch:
    """Looks at every flush, and adds the events to the session that flushed."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._rules: dict[type[Any], list[Rule]] = {}
        event.listen(Session, "after_flush", self._flushed)
        event.listen(Session, "after_flush_postexec", self._add)

    def decorator(self, topic: str, **options: Any) -> Callable[[MappedClass], MappedClass]:
        """Several on one class add up; subclasses publish as their bases do."""
        payload = options.get("payload")
        if payload is not None and not callable(payload):
            raise UsageError(f"publishes({topic!r}): payload must be a function or a pydantic model")
        if not _FIELD.search(topic):
            raise UsageError(f"publishes({topic!r}): name an attribute in braces, as in gift-list:{{list_id}}")
        rule = Rule(topic=topic, **options)

        def decorate(mapped: MappedClass) -> MappedClass:
            self._rules.setdefault(mapped, []).append(rule)
            return mapped

        return decorate

    def _flushed(self, session: Session, _context: object) -> None:
        """While the history of the attributes is still there."""
        changes: list[_Change] = []
        for entity in session.new:
            changes += self._changes(entity, "ADDED")
        for entity in session.dirty:
            if session.is_modified(entity, include_collections=False):
                changes += self._changes(entity, "UPDATED")
        for entity in session.deleted:
            changes += self._changes(entity, "DELETED")
        if changes:
            session.info.setdefault(_FLUSHED, []).extend(changes)

    def _add(self, session: Session, _context: object) -> None:
        """When the session may be used again: the rows go out with its next flush, before the commit."""
        for change in session.info.pop(_FLUSHED, ()):
            rule = change.rule
            gone = change.event == "DELETED"
            if rule.when is not None and not gone and not rule.when(change.entity):
                continue
            entity_id = change.entity_id if change.entity_id is not None else getattr(change.entity, rule.entity_id)
            self._outbox.add(
                session,
                change.topic,
                change.event,
                entity_id=entity_id,
                payload=None if gone else rule.render(change.entity),
                user_id=None if rule.user_id is None else rule.user_id(),
                tenant=change.tenant,
                exclude=None if rule.exclude is None else rule.exclude(),
                version=rule.version,
            )

    def _changes(self, entity: Any, event: str) -> list[_Change]:
        changes: list[_Change] = []
        for mapped in type(entity).__mro__:
            for rule in self._rules.get(mapped, ()):
                changes += _changes_by(rule, entity, event)
        return changes


def _changes_by(rule: Rule, entity: Any, event: str) -> list[_Change]:
    state = inspect(entity)

    def now(name: str) -> Any:
        return getattr(entity, name)

    def before(name: str) -> Any:
        history = state.attrs[name].history if name in state.attrs else None
        return history.deleted[0] if history is not None and history.deleted else getattr(entity, name)

    def change(event: str, values: Callable[[str], Any]) -> list[_Change]:
        topic = rule.topic_of(values)
        if topic is None:
            return []
        tenant = None if rule.tenant is None else str(values(rule.tenant))
        return [_Change(rule, entity, event, topic, values(rule.entity_id), tenant)]

    if event == "UPDATED" and rule.topic_of(before) != rule.topic_of(now):
        return change("DELETED", before) + change("ADDED", now)
    return change(event, before if event == "DELETED" else now)
