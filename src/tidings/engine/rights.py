"""What a session may do: the declared topic types, then the authorizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    to = "subscribe to" if action == "subscribe" else "publish on"
    answers = await answers_of(
        services.authorizer, identity, action, [topic for topic in topics if topic not in faults]
    )
    for topic, answer in answers.items():
        if isinstance(answer, PeerError):
            faults[topic] = PeerError(answer.code, answer.message, topic=topic)
        elif not answer:
            faults[topic] = PeerError(ErrorCode.FORBIDDEN, f"{identity.user} may not {to} {topic}.", topic=topic)
    return faults


async def answers_of(
    authorizer: Authorizer, identity: Identity, action: Action, topics: Sequence[str]
) -> Mapping[str, bool | PeerError]:
    """The authorizer's answer for each topic, asked in one go where it can be."""
    if isinstance(authorizer, TogetherAuthorizer):
        return await authorizer.allows_together(identity, action, topics)
    return {topic: await _answer(authorizer, identity, action, topic) for topic in topics}


async def _answer(authorizer: Authorizer, identity: Identity, action: Action, topic: str) -> bool | PeerError:
    try:
        return await authorizer.allows(identity, action, topic)
    except PeerError as fault:
        return fault
