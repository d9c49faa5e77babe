"""The server's frames, by type. Nothing in them is trusted; what is not understood is ignored."""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from tidings.client.machine import connection, delivery, ladder, publishes, renewal, subscriptions
from tidings.client.machine.context import Context
from tidings.client.machine.values import Frame, TopicError, number_of, object_of


def on_early_frame(m: Context, frame: Frame | None) -> None:
    """A frame before ``welcome``: only that, and the error that explains the coming close."""
    kind = None if frame is None else frame.get("type")
    if frame is not None and kind == "welcome":
        connection.go_live(m, frame)
    elif frame is not None and kind == "error":
        m.retry_after_ms = number_of(frame.get("retry_after_ms"))


def on_frame(m: Context, frame: Frame | None) -> None:
    """A frame of a living connection. Whatever it is, it is a sign of life."""
    m.cancel("probe")
    m.arm("watchdog", m.watchdog_ms)
    ladder.on_heard(m)
    if frame is None:
        return
    kind = frame.get("type")
    if "type" not in frame:
        if _is_event(frame):
            delivery.on_event(m, frame)
    elif isinstance(kind, str) and kind in _BY_TYPE:
        _BY_TYPE[kind](m, frame)


def _is_event(frame: Frame) -> bool:
    named = isinstance(frame.get("topic"), str) and isinstance(frame.get("event"), str)
    return named and object_of(frame.get("data")) is not None


def _on_renewed(m: Context, frame: Frame) -> None:
    """Another welcome: the credentials have been renewed."""
    m.auth_request = None
    renewal.read_welcome(m, frame)


def _on_subscribed(m: Context, frame: Frame) -> None:
    """With an id, the answer to a subscribe; without, live topics that broke."""
    for name, value in (object_of(frame.get("topics")) or {}).items():
        topic, answer = m.topics.get(name), object_of(value)
        if topic is None or answer is None:
            continue
        if frame.get("id") is None:
            if topic.place == "held":
                delivery.on_broken(m, topic, answer)
        elif topic.place == "asked" and topic.request == frame["id"]:
            topic.error = None
            subscriptions.set_state(m, topic, "live")
            delivery.on_answer(m, topic, answer)


def _on_unsubscribed(m: Context, frame: Frame) -> None:
    """Without an id the server took topics away; with one it answers us, who have forgotten them already."""
    topics, reason = frame.get("topics"), frame.get("reason")
    if frame.get("id") is None and isinstance(topics, list):
        subscriptions.on_removed(m, topics, reason if isinstance(reason, str) else "disconnected")


def _on_error(m: Context, frame: Frame) -> None:
    """An error answers a publish, an auth, or a subscribe; or it tells why the connection will be closed.

    New credentials are asked for where the code is one of REFRESH and the error answers a publish or a subscribe
    of ours, or nothing and no topic. An answer to a renewal starts none, and neither does one to a frame that is
    not ours. An id that is null counts as absent, as everywhere on the wire.
    """
    code, message = frame.get("code"), frame.get("message")
    error: TopicError = {"code": code if isinstance(code, str) else "internal"}
    if isinstance(message, str):
        error["message"] = message
    frame_id = frame.get("id")
    if error["code"] == "unknown_session":
        connection.reopen(m)
    elif frame_id is not None and frame_id == m.auth_request:
        renewal.renew_later(m)
    elif publishes.on_publish_error(m, frame_id, error) or _on_topic_error(m, frame, error):
        if error["code"] in subscriptions.REFRESH:
            renewal.renew(m)
    else:
        m.retry_after_ms = number_of(frame.get("retry_after_ms"))
        if frame_id is None:
            _on_connection_error(m, frame, error)


def _on_topic_error(m: Context, frame: Frame, error: TopicError) -> bool:
    """The server has refused topics; whether it was about one of ours."""
    frame_id, name = frame.get("id"), frame.get("topic")
    about = [
        topic
        for topic in m.topics.values()
        if topic.place == "asked"
        and (frame_id is None or topic.request == frame_id)
        and (name == topic.name or (name == "system" and frame_id is not None))
    ]
    for topic in about:
        subscriptions.refuse(m, topic, error, number_of(frame.get("retry_after_ms")))
    return bool(about)


def _on_connection_error(m: Context, frame: Frame, error: TopicError) -> None:
    """Nothing of ours is answered: it is about the connection, or about a topic that we hold."""
    name = frame.get("topic")
    if error["code"] in subscriptions.REFRESH and (name == "system" or not isinstance(name, str)):
        renewal.renew(m)
    else:
        m.report("error", error["code"], **({"message": error["message"]} if "message" in error else {}))


def _on_reconnect(m: Context, frame: Frame) -> None:
    """The server goes away soon: move within its window, each client at its own moment."""
    delay_ms = number_of(frame.get("delay_ms"))
    m.window_ms = m.options.backoff_base_ms if delay_ms is None else delay_ms
    m.arm("move", floor(m.random * m.window_ms))


_BY_TYPE: dict[str, Callable[[Context, Frame], None]] = {
    "welcome": _on_renewed,
    "subscribed": _on_subscribed,
    "unsubscribed": _on_unsubscribed,
    "error": _on_error,
    "published": publishes.on_published,
    "reconnect": _on_reconnect,
}
