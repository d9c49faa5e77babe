"""What a session may do: the declared topic types, then the authorizer."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.engine.services import Services
from tidings.ports import Action, Authorizer, TogetherAuthorizer


async def refusals(
    services: Services, identity: Identity, action: Action, topics: Sequence[str]
) -> dict[str, PeerError]:
    """Why not, for each of the topics with which the identity may not do that."""
    faults = {topic: fault for topic in topics if (fault := services.catalog.unknown(topic)) is not None}
    asked = [topic for topic in topics if topic not in faults]
    to = "subscribe to" if action == "subscribe" else "publish on"
    try:
        allowed = await _allowed(services.authorizer, identity, action, asked)
    except PeerError as fault:
        return faults | {topic: PeerError(fault.code, fault.message, topic=topic) for topic in asked}
    for topic in asked:
        if topic not in allowed:
            faults[topic] = PeerError(ErrorCode.FORBIDDEN, f"{identity.user} may not {to} {topic}.", topic=topic)
    return faults


async def _allowed(
    authorizer: Authorizer, identity: Identity, action: Action, topics: Sequence[str]
) -> Collection[str]:
    if isinstance(authorizer, TogetherAuthorizer):
        return await authorizer.allows_together(identity, action, topics)
    return [topic for topic in topics if await authorizer.allows(identity, action, topic)]
