"""Mapped classes that publish by themselves: what a session flushes becomes events of the same transaction."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import InstanceState, Session

from tidings.core.errors import UsageError
from tidings.core.events import Exclude
from tidings.core.topics import escape_identifier

if TYPE_CHECKING:
    from tidings.outbox.box import Outbox

MappedClass = TypeVar("MappedClass", bound=type[Any])

_FIELD = re.compile(r"\{(\w+)\}")
# In a session's info, from one event of a flush to the next.
_BEFORE = "tidings_outbox_before"
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

    @property
    def names(self) -> set[str]:
        """The attributes that say where an event goes."""
        return {*_FIELD.findall(self.topic), self.entity_id, *([self.tenant] if self.tenant else [])}

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


_Before = dict[tuple[InstanceState[Any], str], Any]


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
        event.listen(Session, "before_flush", self._read_before)
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

    def _read_before(self, session: Session, _context: object, _instances: object) -> None:
        """Ask the database for what was overwritten unread, where a topic or an id is made of it."""
        before: _Before = {}
        for entity in session.dirty:
            for rule in self._rules_of(entity):
                state = inspect(entity)
                for name in rule.names & set(state.mapper.column_attrs.keys()):
                    history = state.attrs[name].history
                    if history.added and not history.deleted and state.identity is not None:
                        column = getattr(state.mapper.class_, name)
                        keys = zip(state.mapper.primary_key, state.identity, strict=True)
                        with session.no_autoflush:
                            before[state, name] = session.scalar(select(column).where(*(k == v for k, v in keys)))
        session.info[_BEFORE] = before

    def _flushed(self, session: Session, _context: object) -> None:
        """While the history of the attributes is still there."""
        before = session.info.pop(_BEFORE, {})
        changes: list[_Change] = []
        for entity in session.new:
            changes += self._changes(entity, "ADDED", before)
        for entity in session.dirty:
            if session.is_modified(entity, include_collections=False):
                changes += self._changes(entity, "UPDATED", before)
        for entity in session.deleted:
            changes += self._changes(entity, "DELETED", before)
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

    def _rules_of(self, entity: Any) -> list[Rule]:
        return [rule for mapped in type(entity).__mro__ for rule in self._rules.get(mapped, ())]

    def _changes(self, entity: Any, event: str, before: _Before) -> list[_Change]:
        return [change for rule in self._rules_of(entity) for change in _changes_by(rule, entity, event, before)]


def _changes_by(rule: Rule, entity: Any, event: str, overwritten: _Before) -> list[_Change]:
    state = inspect(entity)

    def now(name: str) -> Any:
        return getattr(entity, name)

    def before(name: str) -> Any:
        if (state, name) in overwritten:
            return overwritten[state, name]
        history = state.attrs[name].history if name in state.attrs else None
        return history.deleted[0] if history is not None and history.deleted else getattr(entity, name)

    def tenant_of(values: Callable[[str], Any]) -> str | None:
        return None if rule.tenant is None else str(values(rule.tenant))

    def change(event: str, values: Callable[[str], Any]) -> list[_Change]:
        topic = rule.topic_of(values)
        if topic is None:
            return []
        return [_Change(rule, entity, event, topic, values(rule.entity_id), tenant_of(values))]

    has_moved = rule.topic_of(before) != rule.topic_of(now) or tenant_of(before) != tenant_of(now)
    if event == "UPDATED" and has_moved:
        return change("DELETED", before) + change("ADDED", now)
    return change(event, before if event == "DELETED" else now)
