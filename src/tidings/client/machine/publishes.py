"""Publishes of the application: each is answered once, and none waits in silence."""

from __future__ import annotations

import msgspec

from tidings.client.machine.context import Context, Publish
from tidings.client.machine.values import Frame, Input, TopicError

_UNREACHABLE = ("blocked", "failed", "closed")
_TOO_LARGE = "payload_too_large"
_OPTIONAL = ("trace_id", "version", "idempotency_key")


def publish(m: Context, asked: Input) -> None:
    """Take a publish in: send it, keep it for ``queue_ms``, or refuse it at once."""
    request, queue_ms = asked["request"], asked.get("queue_ms", 0)
    frame = {"type": "publish", "topic": asked["topic"], "event": asked["event"], "data": asked["data"]}
    frame.update({name: asked[name] for name in _OPTIONAL if name in asked})
    waits = queue_ms > 0 and m.state not in _UNREACHABLE
    if m.state != "live" and not waits:
        _settle(m, request, {"code": "closed" if m.state == "closed" else "not_connected"})
        return
    m.publishes.append(Publish(request, frame, queue_ms > 0, m.now + queue_ms))
    if m.state == "live":
        send_queued(m)
    else:
        _watch(m)


def send_queued(m: Context) -> None:
    """Send what waited, in order; each under a new id, with the idempotency key that it came with.

    What is larger than the server takes is refused here: it would cost the connection, and would again after each
    reconnect.
    """
    before, m.publishes = m.publishes, []
    for item in before:
        if item.id is None and not _send(m, item):
            _settle(m, item.request, {"code": _TOO_LARGE})
        else:
            m.publishes.append(item)
    _watch(m)


def _send(m: Context, item: Publish) -> bool:
    """Send one, unless it is too large."""
    number = m.next_id()
    frame = {**item.frame, "id": number}
    item.bytes = len(msgspec.json.encode(frame))
    if m.frame_bytes is not None and item.bytes > m.frame_bytes:
        return False
    item.id = number
    if not item.again:
        item.until = m.now + m.options.publish_ms
    m.send(frame)
    return True


def refuse_largest(m: Context) -> None:
    """The server closed because a frame was too large: the largest that has no answer is not sent again."""
    largest = max((item for item in m.publishes if item.id is not None), key=lambda item: item.bytes, default=None)
    if largest is not None:
        m.publishes.remove(largest)
        _settle(m, largest.request, {"code": _TOO_LARGE})


def repeat(m: Context) -> None:
    """The frames did not reach the stream's session: what may be repeated goes out again, within its time."""
    for item in m.publishes:
        if item.id is not None and _is_repeatable(item):
            item.id = None
            item.again = True


def on_published(m: Context, frame: Frame) -> None:
    """The server has stored one."""
    item = _take(m, frame.get("id"))
    if item is not None:
        cursor = frame.get("cursor")
        cursor = cursor if isinstance(cursor, str) else ""
        m.effects.append({"effect": "settle", "request": item.request, "cursor": cursor})


def on_publish_error(m: Context, frame_id: object, error: TopicError) -> bool:
    """The server has refused one; whether the id was a publish's."""
    item = _take(m, frame_id)
    if item is not None:
        _settle(m, item.request, error)
    return item is not None


def lose(m: Context) -> None:
    """The connection went: what may wait, waits and is sent again; of the rest it is unknown whether it arrived."""
    before, m.publishes = m.publishes, []
    for item in before:
        if item.id is None or item.queued:
            item.id = None
            m.publishes.append(item)
        else:
            _settle(m, item.request, {"code": "connection_lost"})
    _watch(m)


def resend(m: Context) -> None:
    """The connection is exchanged for another: what has no answer is sent again, where a repeat is known as one."""
    kept = list(m.publishes)
    m.publishes.clear()
    for item in kept:
        if item.id is None or _is_repeatable(item):
            item.id = None
            m.publishes.append(item)
        else:
            _settle(m, item.request, {"code": "connection_lost"})


def _is_repeatable(item: Publish) -> bool:
    return item.queued or "idempotency_key" in item.frame


def drop(m: Context, code: str) -> None:
    """Answer all with a refusal: there will be no connection."""
    before, m.publishes = m.publishes, []
    for item in before:
        _settle(m, item.request, {"code": code})
    _watch(m)


def on_deadline(m: Context) -> None:
    """The timer ``publish``: answer those whose time is over."""
    before, m.publishes = m.publishes, []
    for item in before:
        if item.until > m.now:
            m.publishes.append(item)
        else:
            _settle(m, item.request, {"code": "not_connected" if item.id is None else "timeout"})
    _watch(m)


def _take(m: Context, frame_id: object) -> Publish | None:
    if isinstance(frame_id, bool) or not isinstance(frame_id, int):
        return None
    for item in m.publishes:
        if item.id == frame_id:
            m.publishes.remove(item)
            _watch(m)
            return item
    return None


def _watch(m: Context) -> None:
    if m.publishes:
        m.arm("publish", min(item.until for item in m.publishes) - m.now)
    else:
        m.cancel("publish")


def _settle(m: Context, request: int, error: TopicError) -> None:
    m.effects.append({"effect": "settle", "request": request, "error": error})
