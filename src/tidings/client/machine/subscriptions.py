"""Which topics the application uses, and which the server holds for it.

Uses are counted per topic, so that all share one subscription. What joins in one moment goes out in one
frame. A topic that nobody uses lingers for some seconds, for the next may use it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor, inf
from typing import TypeVar

from tidings.client.machine.context import Context, Lease, Topic
from tidings.client.machine.cursors import compare
from tidings.client.machine.delivery import serve
from tidings.client.machine.values import Effect, TopicError

_PASSING = frozenset({"rate_limited", "unavailable", "internal"})  # refusals that pass by themselves
REFRESH = frozenset({"unauthorized", "token_expired"})  # refusals that new credentials mend
_T = TypeVar("_T")
SWEEP_MS = 500  # topics whose linger ends so near to each other leave in one frame
REMEMBERED_MAX = 1_000
OPENING_TOPICS_MAX = 256  # as many as a connection may hold by default: a new stream needs no frame after its opening


def lease(m: Context, subscriber: int, names: Sequence[str], since: Mapping[str, str | None]) -> None:
    """A subscriber starts to use topics; their states come as effects."""
    if subscriber in m.subscribers:
        release(m, subscriber)
    topics = list(dict.fromkeys(names))
    if not topics:
        return
    m.subscribers[subscriber] = topics
    for name in topics:
        topic = m.topics.get(name) or _create(m, name)
        asked = since.get(name) if since.get(name) is not None else topic.delivered
        topic.leases[subscriber] = Lease(asked)
        topic.delivered = None
        topic.leave_at = None
        if topic.place == "away":
            _start_at(topic, asked)
        if topic.place == "refused":
            topic.place = "away"  # somebody new may ask again
    if m.state == "live" and not m.flushing:
        m.flushing = True
        m.effects.append({"effect": "flush"})


def _create(m: Context, name: str) -> Topic:
    cursor, until = m.remembered.pop(name, (None, 0.0))
    topic = m.topics[name] = Topic(name, cursor if until > m.now else None)
    return topic


def _start_at(topic: Topic, since: str | None) -> None:
    """The position to ask for is the oldest that a newcomer needs; who is ahead of it skips what it has.

    It never moves back for those who have been served: a newcomer that is older gets a gap instead.
    """
    if since is None or any(lease.attached for lease in topic.leases.values()):
        return
    if topic.cursor is None or compare(since, topic.cursor) == -1:
        topic.cursor = since


def release(m: Context, subscriber: int) -> None:
    """A subscriber stops; unknown ones are none of our business, so letting go twice is harmless."""
    for name in m.subscribers.get(subscriber, ()):
        topic = m.topics.get(name)
        last = None if topic is None else topic.leases.pop(subscriber, None)
        if topic is None or last is None or topic.leases:
            continue
        # Who leaves before it was served leaves what it had asked for to the next.
        topic.delivered = topic.cursor if last.attached or last.since is None else last.since
        if topic.place in ("asked", "held"):
            topic.leave_at = m.now + m.options.topic_linger_ms
            if "linger" not in m.timers:
                m.arm("linger", m.options.topic_linger_ms)
        else:
            _forget(m, topic)
    m.subscribers.pop(subscriber, None)


def sweep(m: Context) -> None:
    """The timer ``linger``: leave the topics that nobody came back to, in as few frames as may be."""
    gone: list[str] = []
    later = inf
    for topic in list(m.topics.values()):
        if topic.leave_at is None:
            continue
        if topic.leave_at > m.now + SWEEP_MS:
            later = min(later, topic.leave_at)
        else:
            gone.append(topic.name)
            _forget(m, topic)
    for topics in _chunks(gone, m.topics_per_frame):
        m.send({"type": "unsubscribe", "topics": topics, "id": m.next_id()})
    if gone:
        _ask_for_room(m)
    if later != inf:
        m.arm("linger", later - m.now)


def _ask_for_room(m: Context) -> None:
    """Some have left: those that found the connection full may come in."""
    for topic in m.topics.values():
        if topic.place == "refused" and topic.error and topic.error["code"] == "too_many_subscriptions":
            topic.place = "away"
    ask_all(m)


def _forget(m: Context, topic: Topic) -> None:
    """Drop a topic, but remember its position for a while."""
    del m.topics[topic.name]
    if topic.delivered is None:
        return
    m.remembered.pop(topic.name, None)
    m.remembered[topic.name] = (topic.delivered, m.now + m.options.cursor_keep_ms)
    for name, (_, until) in list(m.remembered.items()):
        if until > m.now and len(m.remembered) <= REMEMBERED_MAX:
            break
        del m.remembered[name]


def flush(m: Context) -> None:
    """Serve who joined a topic that is held, and ask for the rest."""
    m.flushing = False
    if m.state != "live":
        return
    for topic in m.topics.values():
        if topic.place == "held":
            for subscriber, one in topic.leases.items():
                if not one.attached:
                    serve(m, topic, subscriber, one)
    ask_all(m)


def ask_all(m: Context) -> None:
    """Subscribe to every topic that is used and that the server does not hold."""
    for topics in _chunks(_unasked(m), m.topics_per_frame):
        m.send(_ask(m, topics))


def ask_first(m: Context) -> Effect:
    """The same as one frame, which a dial takes along; what does not fit is asked for when it is connected."""
    return _ask(m, _unasked(m)[:OPENING_TOPICS_MAX])


def _unasked(m: Context) -> list[Topic]:
    return [t for t in m.topics.values() if t.place == "away" and t.leases and t.retry_at is None]


def _ask(m: Context, topics: Sequence[Topic]) -> Effect:
    request = m.next_id()
    for topic in topics:
        topic.place = "asked"
        topic.request = request
        topic.asked_since = topic.cursor
        if topic.state == "denied":
            set_state(m, topic, "subscribing")
    since = {topic.name: topic.cursor for topic in topics if topic.cursor is not None}
    names = [topic.name for topic in topics]
    return {"type": "subscribe", "topics": names, **({"since": since} if since else {}), "id": request}


def move(m: Context) -> None:
    """The connection is exchanged for another: nothing is held on that yet, and its users notice nothing."""
    for topic in list(m.topics.values()):
        topic.place = "away"  # a refusal may have been the transport's
        topic.request = None
        topic.retry_at = None
        if not topic.leases:
            _forget(m, topic)
    m.cancel("linger")


def lose(m: Context) -> None:
    """The connection went: nothing is held; what lingered is let go, with what it had delivered."""
    for topic in list(m.topics.values()):
        topic.place = "away"
        topic.request = None
        topic.retry_at = None
        if not topic.leases:
            _forget(m, topic)
        elif topic.state == "live":
            set_state(m, topic, "stale")
    m.cancel("linger")


def refuse(m: Context, topic: Topic, error: TopicError, retry_after_ms: float | None) -> None:
    """A topic was refused; ask again later where that may help, else tell its users."""
    topic.request = None
    if not topic.leases:
        _forget(m, topic)
    elif error["code"] in _PASSING or (m.options.auth and error["code"] in REFRESH):
        topic.place = "away"
        wait_ms = floor(max(retry_after_ms or 0, m.options.slow_down_ms) + m.random * m.options.backoff_base_ms)
        topic.retry_at = m.now + wait_ms
        if "retry" not in m.timers:
            m.arm("retry", wait_ms)
    else:
        again = topic.error is not None and topic.error["code"] == error["code"]
        topic.place = "refused"
        topic.error = error
        set_state(m, topic, "denied")
        if not again:
            message = {"message": error["message"]} if "message" in error else {}
            m.report("error", error["code"], topic=topic.name, **message)


def retry_topics(m: Context) -> None:
    """The timer ``retry``: ask again for the topics whose refusal may have passed."""
    later = inf
    for topic in m.topics.values():
        if topic.retry_at is None:
            continue
        if topic.retry_at <= m.now + SWEEP_MS:
            topic.retry_at = None
        else:
            later = min(later, topic.retry_at)
    ask_all(m)
    if later != inf:
        m.arm("retry", later - m.now)


def on_removed(m: Context, names: Iterable[object], reason: str) -> None:
    """The server took topics away."""
    for name in names:
        topic = m.topics.get(name) if isinstance(name, str) else None
        if topic is not None and topic.place != "away":
            refuse(m, topic, {"code": reason}, None)


def set_state(m: Context, topic: Topic, state: str) -> None:
    """Change what a topic's users see, and tell them."""
    if topic.state == state:
        return
    topic.state = state
    if state not in ("denied", "subscribing"):
        topic.error = None
    error = {"error": topic.error} if state == "denied" and topic.error is not None else {}
    m.effects.append({"effect": "topic", "topic": topic.name, "state": state, **error})


def _chunks(items: Sequence[_T], size: int) -> Iterator[list[_T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
