"""Events on their way to the application, each once and in order; and what is said where that cannot be kept.

A topic's position is one value. It moves before the handlers run, and never back within an epoch: what is
not above it is dropped, and another epoch means that the data must be fetched anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tidings.client.machine.context import Context, Lease, Topic
from tidings.client.machine.cursors import compare
from tidings.client.machine.values import Frame

SEEN_MAX = 256


def on_event(m: Context, event: Frame) -> None:
    """An event frame, from the topic's own subscription or from a wildcard's."""
    name = event["topic"]
    topic = m.topics.get(name)
    if topic is not None and topic.place == "held":
        _deliver(m, topic, event)
    wildcard = m.topics.get(f"{name.partition(':')[0]}:*")
    if wildcard is not None and wildcard.place == "held" and _is_new_to_wildcard(m, event) and wildcard.leases:
        m.effects.append({"effect": "deliver", "topic": wildcard.name, "event": event})


def _deliver(m: Context, topic: Topic, event: Frame) -> None:
    cursor = event.get("cursor")
    early = [(subscriber, lease) for subscriber, lease in topic.leases.items() if not lease.attached]
    for subscriber, lease in early:
        serve(m, topic, subscriber, lease)
    if isinstance(cursor, str):
        if topic.cursor is not None:
            order = compare(cursor, topic.cursor)
            if order is not None and order <= 0:
                return
            if order is None:
                _start_anew(topic, cursor)
                for lease in topic.leases.values():
                    _attach(lease)
                gap(m, topic, "epoch_changed", topic.leases)
        topic.cursor = cursor  # before any handler runs
        topic.buffer_from = topic.buffer_from or cursor
        _keep(m, topic, cursor, event)
    to = [subscriber for subscriber, lease in topic.leases.items() if _is_new_to(lease, cursor)]
    if to:
        # A handler that is served first may let in others, who have their own way to this event.
        named = {"to": to} if early else _only(topic, to)
        m.effects.append({"effect": "deliver", "topic": topic.name, "event": event, **named})


def _is_new_to(lease: Lease, cursor: object) -> bool:
    """Whether the subscriber's own data does not hold the event yet."""
    if lease.floor is None or not isinstance(cursor, str):
        return True
    order = compare(cursor, lease.floor)
    if order is not None and order <= 0:
        return False
    lease.floor = None
    return True


def _keep(m: Context, topic: Topic, cursor: str, event: Frame) -> None:
    """Keep the newest events: so many, and so long."""
    topic.buffer.append((cursor, m.now, event))
    excess = 0
    for old_cursor, at, _ in topic.buffer:
        within = len(topic.buffer) - excess <= m.options.buffer_events
        if within and m.now - at <= m.options.buffer_ms:
            break
        topic.buffer_from = old_cursor
        excess += 1
    del topic.buffer[:excess]


def _is_new_to_wildcard(m: Context, event: Frame) -> bool:
    """Wildcards have no position of their own: the newest topics' ones are remembered."""
    cursor = event.get("cursor")
    if not isinstance(cursor, str):
        return True
    name = event["topic"]
    last = m.seen.get(name)
    if last is not None and (order := compare(cursor, last)) is not None and order <= 0:
        return False
    m.seen.pop(name, None)
    m.seen[name] = cursor
    while len(m.seen) > SEEN_MAX:
        del m.seen[next(iter(m.seen))]
    return True


def on_answer(m: Context, topic: Topic, answer: Frame) -> None:
    """The answer to a subscribe, for one topic: it is held now."""
    asked = topic.asked_since
    recovered = answer.get("recovered") is True
    topic.place = "held"
    topic.request = None
    _warn(m, topic, answer.get("warning"))
    _start_anew(topic, _cursor_of(answer))
    if not topic.leases and topic.delivered is None:
        topic.delivered = topic.cursor
    kept = recovered and (asked is None or asked == topic.cursor)
    reason = "unavailable" if recovered else _reason_of(answer)
    lost: list[int] = []
    for subscriber, lease in topic.leases.items():
        if kept or not _has_lost(lease, topic, asked, reason):
            serve(m, topic, subscriber, lease)
        else:
            _attach(lease)
            lost.append(subscriber)
    gap(m, topic, reason, lost)


def _has_lost(lease: Lease, topic: Topic, asked: str | None, reason: str) -> bool:
    """Who had a position and may have missed something; who only begins has missed nothing."""
    if lease.attached or lease.since is None:
        return lease.attached
    if lease.since == asked or topic.cursor is None:
        return True
    order = compare(lease.since, topic.cursor)
    return order is None or order == -1 or (order == 1 and reason == "ahead")


def _cursor_of(answer: Frame) -> str | None:
    cursor = answer.get("cursor")
    return cursor if isinstance(cursor, str) else None


def _reason_of(answer: Frame) -> str:
    reason = answer.get("reason")
    return reason if isinstance(reason, str) else "unavailable"


def on_broken(m: Context, topic: Topic, answer: Frame) -> None:
    """A live topic broke: its history begins anew at this position."""
    if answer.get("recovered") is not False:
        return
    _start_anew(topic, _cursor_of(answer))
    for lease in topic.leases.values():
        _attach(lease)
    gap(m, topic, _reason_of(answer), topic.leases)


def _start_anew(topic: Topic, cursor: str | None) -> None:
    topic.cursor = cursor
    topic.buffer = []
    topic.buffer_from = cursor


def _attach(lease: Lease) -> None:
    lease.attached = True
    lease.since = None
    lease.floor = None


def serve(m: Context, topic: Topic, subscriber: int, lease: Lease) -> None:
    """A subscriber meets a topic that is held: nothing to do, to skip, to catch up from the buffer, or a gap."""
    if lease.attached:
        return  # served before: what its own data hold it still must not be given
    since = lease.since
    _attach(lease)
    if since is None or topic.cursor is None:
        return
    order = compare(since, topic.cursor)
    if order is None:
        gap(m, topic, "epoch_changed", [subscriber])
    elif order == 1:
        lease.floor = since
    elif order == -1:
        if topic.buffer_from is None or compare(since, topic.buffer_from) == -1:
            gap(m, topic, "trimmed", [subscriber])
            return
        for cursor, _, event in topic.buffer:
            if compare(cursor, since) == 1:
                m.effects.append({"effect": "deliver", "topic": topic.name, "event": event, "to": [subscriber]})


def gap(m: Context, topic: Topic, reason: str, to: Iterable[int]) -> None:
    """Tell that events may have been missed: the data must be fetched anew."""
    told = list(to)
    if told:
        news = {"effect": "gap", "topic": topic.name, "reason": reason, "cursor": topic.cursor}
        m.effects.append({**news, **_only(topic, told)})


def _only(topic: Topic, to: list[int]) -> dict[str, Any]:
    """``to`` stands in an effect only where it is not everybody."""
    return {} if len(to) == len(topic.leases) else {"to": to}


def _warn(m: Context, topic: Topic, warning: object) -> None:
    """What the server warns of is said once per topic type, and to developers only (A12)."""
    kind = topic.name.partition(":")[0]
    if not isinstance(warning, str) or not m.options.development or kind in m.warned:
        return
    m.warned.add(kind)
    m.report("warn", "topic_warning", topic=topic.name, message=warning)
