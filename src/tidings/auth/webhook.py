"""Who is it, and what may they do, as the user's own back end answers over HTTP.

    {"id": "...", "type": "connect", "credentials": {"token", "source", "client_address", "headers"}}
        -> {"identity": {"user", "tenant"?, "expires_in_seconds"?, "claims"?} | null, "message"?, "ttl_seconds"?}
    {"id": "...", "type": "subscribe" | "publish", "identity": {"user", "tenant", "claims"}, "topics": [...]}
        -> {"allowed": [those of the topics], "failed"?: [those where it cannot be said now], "ttl_seconds"?}

Closed by default: what is not granted is refused (``unauthorized``, ``forbidden``), and so is everything while there is
no answer (``unavailable``, which clients repeat). An answer is used again for the ``ttl_seconds`` that it names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tidings.auth.jwt import USER_LENGTH_MAX
from tidings.auth.rules import RuleAuthorizer
from tidings.auth.webhook_call import BackEnd, NoAnswer
from tidings.auth.webhook_memory import Memory
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.ports import Action, Clock, Credentials

MESSAGE_LENGTH_MAX = 300
_CLAIMS_BYTES_MAX = 8_192


class _Entry(NamedTuple):
    """What a back end says of credentials."""

    identity: Identity | None
    message: str | None
    ttl_seconds: float


class _Rights(NamedTuple):
    """What a back end says of topics; of those in ``failed`` it could not say anything."""

    allowed: frozenset[str]
    failed: frozenset[str]
    ttl_seconds: float


class WebhookAuthenticator:
    """Asks the back end who somebody is (``tidings.ports.Authenticator``).

    It is given the token and what came with it: cookies, ``Authorization``, the address. Answers are remembered by
    all that was sent but the trace.
    """

    def __init__(self, back_end: BackEnd, clock: Clock) -> None:
        self._back_end = back_end
        self._clock = clock
        self._memory: Memory[_Entry] = Memory()

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Say who this is. Raises PeerError ``unauthorized``, or ``unavailable`` where nobody answers."""
        shown = {
            "token": credentials.token,
            "source": credentials.source.value,
            "client_address": credentials.client_address,
            "headers": dict(credentials.headers),
        }
        key = _key({**shown, "headers": {k: v for k, v in credentials.headers.items() if k != "traceparent"}})
        entry = self._memory.get(key, self._clock.monotonic())
        if entry is None or self._is_over(entry):
            entry = await self._ask(shown)
            self._memory.put(key, entry, entry.ttl_seconds, self._clock.monotonic())
        if entry.identity is None:
            raise PeerError(ErrorCode.UNAUTHORIZED, entry.message)
        return entry.identity

    def _is_over(self, entry: _Entry) -> bool:
        expires_at = None if entry.identity is None else entry.identity.expires_at
        return expires_at is not None and expires_at <= self._clock.now().timestamp()

    async def _ask(self, shown: Mapping[str, Any]) -> _Entry:
        now_seconds = self._clock.now().timestamp()
        try:
            return await self._back_end.ask(
                {"type": "connect", "credentials": shown}, lambda status, answer: _entry(status, answer, now_seconds)
            )
        except NoAnswer:
            message = "Who this is could not be checked, for the back end did not answer; try again in a moment."
            raise PeerError(ErrorCode.UNAVAILABLE, message) from None


class WebhookAuthorizer:
    """Asks the back end what somebody may do (``tidings.ports.Authorizer``), of all topics of a frame at once.

    What a token grants by itself, and ``user:{id}`` to its owner, is granted without a call.

    :param actions: which are asked; the others are granted by tokens alone.
    """

    def __init__(self, back_end: BackEnd, clock: Clock, actions: Collection[Action] = ("subscribe", "publish")) -> None:
        self._back_end = back_end
        self._clock = clock
        self._actions = frozenset(actions)
        self._granted = RuleAuthorizer()
        self._memory: Memory[bool] = Memory()

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        """Whether the identity may do that. Raises PeerError ``unavailable`` where nobody answers."""
        answer = (await self.allows_together(identity, action, [topic]))[topic]
        if isinstance(answer, PeerError):
            raise answer
        return answer

    async def allows_together(
        self, identity: Identity, action: Action, topics: Sequence[str]
    ) -> Mapping[str, bool | PeerError]:
        """The same for several topics, in one call."""
        now = self._clock.monotonic()
        answers: dict[str, bool | PeerError] = {}
        keys: dict[str, bytes] = {}
        who = {"user": identity.user, "tenant": identity.tenant, "claims": identity.claims}
        for topic in topics:
            granted = await self._granted.allows(identity, action, topic)
            if granted or action not in self._actions:
                answers[topic] = granted
                continue
            key = _key([who, action, topic])
            known = self._memory.get(key, now)
            if known is None:
                keys[topic] = key
            else:
                answers[topic] = known
        return answers | await self._ask(who, action, keys) if keys else answers

    async def _ask(
        self, who: Mapping[str, Any], action: Action, keys: Mapping[str, bytes]
    ) -> dict[str, bool | PeerError]:
        call = {"type": action, "identity": who, "topics": list(keys)}
        try:
            rights = await self._back_end.ask(call, _rights)
        except NoAnswer:
            rights = _Rights(frozenset(), frozenset(keys), 0)
        answers: dict[str, bool | PeerError] = {}
        now = self._clock.monotonic()
        for topic, key in keys.items():  # another one that the answer names grants nothing
            if topic in rights.failed:
                message = "Whether this is allowed could not be found out from the back end; try again in a moment."
                answers[topic] = PeerError(ErrorCode.UNAVAILABLE, message)
            else:
                answers[topic] = topic in rights.allowed
                self._memory.put(key, topic in rights.allowed, rights.ttl_seconds, now)
        return answers


def _key(question: Any) -> bytes:
    """A short text that two different questions never share (C6)."""
    return hashlib.sha256(msgspec.json.encode(question, order="sorted")).digest()


def _entry(status: int, answer: Any, now_seconds: float) -> _Entry:
    """Raises ValueError for an answer that is none."""
    fields = _fields(status, answer)
    ttl_seconds = _seconds(fields, "ttl_seconds") or 0
    if "identity" not in fields:
        raise ValueError('the answer to connect has no "identity"')
    given = fields["identity"]
    if given is None:
        return _Entry(None, _message(fields.get("message")), ttl_seconds)
    if not isinstance(given, dict):
        raise ValueError("identity must be an object or null")
    expires_in = _seconds(given, "expires_in_seconds")
    if expires_in is not None and expires_in <= 0:
        return _Entry(None, None, 0)
    identity = Identity(
        user=_name(given, "user"),
        tenant=None if given.get("tenant") is None else _name(given, "tenant"),
        expires_at=None if expires_in is None else now_seconds + expires_in,
        claims=_claims(given.get("claims")),
    )
    return _Entry(identity, None, ttl_seconds)


def _rights(status: int, answer: Any) -> _Rights:
    """Raises ValueError for an answer that is none."""
    fields = _fields(status, answer)
    ttl_seconds = _seconds(fields, "ttl_seconds") or 0
    return _Rights(_topics(fields.get("allowed"), "allowed"), _topics(fields.get("failed", []), "failed"), ttl_seconds)


def _topics(value: Any, name: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(topic, str) for topic in value):
        raise ValueError(f"{name} must be a list of topics")
    return frozenset(value)


def _fields(status: int, answer: Any) -> dict[str, Any]:
    if status != 200:
        # Never taken for a no: it may come from what stands before the back end, and would send everybody away.
        error = answer.get("error") if isinstance(answer, dict) else None
        said = f": {str(error.get('message'))[:MESSAGE_LENGTH_MAX]!r}" if isinstance(error, dict) else ""
        raise ValueError(f"it answered HTTP {status}{said}")
    if not isinstance(answer, dict):
        raise ValueError("its answer is no JSON object")
    return answer


def _seconds(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:
        raise ValueError(f"{name} must be a number of seconds")
    return float(value)


def _name(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= USER_LENGTH_MAX:
        raise ValueError(f"identity.{name} must be a string of 1 to {USER_LENGTH_MAX} characters")
    return value


def _claims(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(msgspec.json.encode(value)) > _CLAIMS_BYTES_MAX:
        raise ValueError(f"identity.claims must be an object of at most {_CLAIMS_BYTES_MAX} bytes")
    return value


def _message(value: Any) -> str | None:
    return value[:MESSAGE_LENGTH_MAX] if isinstance(value, str) and value else None
