"""Polls ask for the same rights again and again: what was granted is remembered for a moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.engine.rights import answers_of
from tidings.ports import Action, Authorizer, Clock

REMEMBERED_SECONDS = 5.0  # a right that is taken away ends after so long
GRANTS_MAX = 10_000


class RememberedRights:
    """An authorizer that asks another one (``tidings.ports.Authorizer``); only a yes is remembered.

    Two identities are the same when a rule can see no difference: user, tenant, the token's own grants and
    claims. Where claims hold what cannot be compared as JSON, nothing is remembered.
    """

    def __init__(self, inner: Authorizer, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._granted_at: OrderedDict[bytes, float] = OrderedDict()  # the oldest first

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        """Whether the identity may do that, or might up to five seconds ago."""
        key = _key(identity, action, topic)
        if key is None:
            return await self._inner.allows(identity, action, topic)
        now = self._clock.monotonic()
        if self._holds(key, now):
            return True
        if not await self._inner.allows(identity, action, topic):
            return False
        self._remember(key, now)
        return True

    async def allows_together(
        self, identity: Identity, action: Action, topics: Sequence[str]
    ) -> Mapping[str, bool | PeerError]:
        """The same for all topics of a poll; what is not remembered is asked in one go, where that can be done."""
        now = self._clock.monotonic()
        keys = {topic: _key(identity, action, topic) for topic in topics}
        held: dict[str, bool | PeerError] = {
            topic: True for topic, key in keys.items() if key is not None and self._holds(key, now)
        }
        answers = await answers_of(self._inner, identity, action, [topic for topic in topics if topic not in held])
        for topic, answer in answers.items():
            if answer is True and (key := keys[topic]) is not None:
                self._remember(key, now)
        return {**held, **answers}

    def _holds(self, key: bytes, now: float) -> bool:
        granted_at = self._granted_at.get(key)
        return granted_at is not None and now - granted_at < REMEMBERED_SECONDS

    def _remember(self, key: bytes, now: float) -> None:
        self._granted_at.pop(key, None)
        self._granted_at[key] = now
        while self._granted_at:
            oldest = next(iter(self._granted_at))
            if len(self._granted_at) <= GRANTS_MAX and now - self._granted_at[oldest] < REMEMBERED_SECONDS:
                break
            del self._granted_at[oldest]


def _key(identity: Identity, action: Action, topic: str) -> bytes | None:
    """A text that two different questions never share (C6)."""
    if type(identity) is not Identity:
        return None  # a class of the application's own may hold more than we can see
    try:
        return msgspec.json.encode(
            (identity.tenant, identity.user, identity.subscribe, identity.publish, identity.claims, action, topic)
        )
    except Exception:  # claims are the application's, and so is what raises here
        return None
