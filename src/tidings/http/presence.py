"""``GET presence``: who is on a topic."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.topics import TopicKey, check_topic
from tidings.http.answers import json_answer
from tidings.http.surface import Surface


async def presence(request: Request, surface: Surface) -> Response:
    """``?topic=…`` to ``{"topic", "members": [{"session", "user", "state"}], "count"}``.

    Raises PeerError ``bad_topic``, ``bad_frame`` or ``no_presence``.
    """
    caller = surface.keys.caller(request.headers.get("authorization"))
    topics = request.query_params.getlist("topic")
    if len(topics) != 1:
        raise PeerError(ErrorCode.BAD_FRAME, "Name one topic: ?topic=gift-list:123.", path="topic")
    check_topic(topics[0])
    tenant = caller.acts_for(request.query_params.get("tenant") or None, "tenant")
    members = await surface.backend.present_on(TopicKey(tenant, topics[0]))
    return json_answer({"topic": topics[0], "members": list(members), "count": len(members)})
