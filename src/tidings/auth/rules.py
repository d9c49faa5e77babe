"""Rules of authorization: topic patterns, and who may use what they match.

    authorize={
        "gift-list:{list_id}": may_see_list,                       # may_see_list(identity, list_id) -> bool
        "chat:{room}": Access(subscribe=in_room, publish=in_room),
        "news:*": True,
    }

The most exact pattern that matches decides alone. What no rule matches, and no claim of the token grants,
is refused.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from tidings.auth.calling import call
from tidings.core.errors import PeerError, UsageError
from tidings.core.identity import Identity
from tidings.core.topics import TopicPattern, escape_identifier
from tidings.ports import Action

# Called as rule(identity, **segments), plain (in a worker thread) or async.
Rule = Callable[..., "bool | Awaitable[bool]"]

_log = logging.getLogger("tidings.auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may subscribe to a topic, and who may publish on it as a client: a rule, everyone, or nobody.

    :ivar presence: who of those that may subscribe sees who else is there, and is seen: everyone by default.
    """

    subscribe: Rule | bool = False
    publish: Rule | bool = False
    presence: Rule | bool = True


class _Entry(NamedTuple):
    pattern: TopicPattern
    access: Access


class RuleAuthorizer:
    """Decides by patterns (``tidings.ports.Authorizer``).

    :param rules: by pattern: a rule, which grants subscribing alone; an Access; or True. ``gift-list:*`` also
        grants the wildcard subscription, which no other pattern does.
    :param types: the topic types that are declared; a rule for another is a mistake. None where none are.

    By default ``user:{id}`` and what is below it may be subscribed to by that user; rules for ``user:`` of
    the application come first. Patterns in ``Identity.subscribe`` and ``Identity.publish`` grant as well.
    Raises UsageError at construction for a pattern or a function that does not fit.
    """

    def __init__(
        self, rules: Mapping[str, Rule | Access | bool] | None = None, *, types: Sequence[str] | None = None
    ) -> None:
        entries = [_entry(text, rule, types) for text, rule in (rules or {}).items()]
        entries.sort(key=lambda entry: entry.pattern.weight, reverse=True)
        named = [entry for entry in entries if not entry.pattern.text.startswith("*:")]
        of_any_type = [entry for entry in entries if entry.pattern.text.startswith("*:")]
        # A rule of any type, such as *:messages, must not open the topics of users by accident.
        self._entries = [*named, *_DEFAULTS, *of_any_type]

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        """Whether the identity may do that. A rule that raises is logged, and refuses."""
        granted = identity.subscribe if action == "subscribe" else identity.publish
        if any(_pattern(text).match(topic) is not None for text in granted or ()):
            return True
        for pattern, access in self._entries:
            segments = pattern.match(topic)
            if segments is not None:
                rule = access.subscribe if action == "subscribe" else access.publish
                return await self._ask(rule, pattern.text, identity, segments)
        return False

    async def allows_presence(self, identity: Identity, topic: str) -> bool:
        """Whether the identity, which has subscribed to the topic, may be present there: by the rule that decides."""
        for pattern, access in self._entries:
            segments = pattern.match(topic)
            if segments is not None:
                return await self._ask(access.presence, pattern.text, identity, segments)
        return True  # granted by the token's own patterns

    async def _ask(self, rule: Rule | bool, pattern: str, identity: Identity, segments: Mapping[str, str]) -> bool:
        if isinstance(rule, bool):
            return rule
        try:
            answer = await call(rule, identity, **segments)
        except PeerError:
            return False  # the rule's own way to say no
        except Exception:
            _log.exception("the rule for %s raised; refused", pattern)
            return False
        if not isinstance(answer, bool):
            _log.error(
                "the rule for %s must return True or False; it returned %s; refused", pattern, type(answer).__name__
            )
            return False
        return answer


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> TopicPattern:
    """The patterns of tokens, which come again with each subscription."""
    return TopicPattern(text)


async def _owns(identity: Identity, user_id: str) -> bool:
    return escape_identifier(identity.user) == user_id


_OWN = Access(subscribe=_owns)
_DEFAULTS = (_Entry(TopicPattern("user:{user_id}"), _OWN), _Entry(TopicPattern("user:{user_id}:*"), _OWN))


def _entry(text: str, rule: Rule | Access | bool, types: Sequence[str] | None) -> _Entry:
    try:
        pattern = TopicPattern(text)
    except ValueError as error:
        raise UsageError(f"authorize: {error}") from None
    kind = text.partition(":")[0]
    if types is not None and kind not in ("*", "user", *types):
        near = get_close_matches(kind, types, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "add it to topics=[...]"
        raise UsageError(f"authorize: the rule {text!r} is for a topic type that is not declared; {hint}")
    access = rule if isinstance(rule, Access) else Access(subscribe=rule)
    for part in (access.subscribe, access.publish, access.presence):
        _check_rule(pattern, part)
    return _Entry(pattern, access)


def _check_rule(pattern: TopicPattern, rule: Any) -> None:
    """Raise UsageError unless the rule can be called with the segments that the pattern binds."""
    if isinstance(rule, bool):
        return
    if not callable(rule):
        raise UsageError(
            f"authorize: the rule for {pattern.text!r} must be a function, an Access or True; "
            f"it is a {type(rule).__name__}"
        )
    try:
        signature = inspect.signature(rule)
    except (TypeError, ValueError):
        return  # some built-in callables do not tell
    try:
        signature.bind(object(), **dict.fromkeys(pattern.names, ""))
    except TypeError as error:
        name = getattr(rule, "__name__", type(rule).__name__)
        called = ", ".join(["identity", *(f"{segment}=..." for segment in pattern.names)])
        raise UsageError(
            f"authorize: the rule for {pattern.text!r} is called as {name}({called}), "
            f"and {name}{signature} cannot be: {error}"
        ) from None
