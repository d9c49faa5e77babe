"""``GET cursor``: where topics stand, to be read before the query whose answer it goes with (promise 2)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.limits import exceeds
from tidings.core.topics import TopicKey, check_topic
from tidings.http.answers import json_answer
from tidings.http.surface import Surface

CURSOR_HEADER = "Tidings-Cursor"


async def cursor(request: Request, surface: Surface) -> Response:
    """``?topic=…&topic=…`` to ``{"cursors": {topic: cursor}}``, and the header to hand on.

    Raises PeerError ``bad_topic``, ``too_many_topics`` or ``bad_frame``.
    """
    caller = surface.keys.caller(request.headers.get("authorization"))
    topics = list(dict.fromkeys(request.query_params.getlist("topic")))
    if not topics:
        raise PeerError(ErrorCode.BAD_FRAME, "Name a topic: ?topic=gift-list:123.", path="topic")
    topics_max = surface.settings.limits.topics_per_frame
    if exceeds(len(topics), topics_max):
        raise PeerError(ErrorCode.TOO_MANY_TOPICS, f"At most {topics_max} topics at once; these are {len(topics)}.")
    for topic in topics:
        check_topic(topic)
    tenant = caller.acts_for(request.query_params.get("tenant") or None, "tenant")
    cursors = {topic: str(await surface.backend.head(TopicKey(tenant, topic))) for topic in topics}
    # Topics and cursors are of alphabets without separators of headers, so nothing needs quoting (C16).
    header = ", ".join(f"{topic}={position}" for topic, position in cursors.items())
    return json_answer(
        {"cursors": cursors}, headers={CURSOR_HEADER: header, "Access-Control-Expose-Headers": CURSOR_HEADER}
    )
