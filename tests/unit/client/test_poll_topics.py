"""What polls answer, as a session would have said it: each topic's start once, then events, breaks and refusals."""

from __future__ import annotations

from typing import Any

from tidings.client.transports.poll_topics import PollTopics

A, B = "gift-list:a", "gift-list:b"


def event(topic: str, cursor: str) -> dict[str, Any]:
    return {"topic": topic, "event": "UPDATED", "data": {"entity_id": "g"}, "cursor": cursor}


def subscribed(topics: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "subscribed", "topic": "system", "topics": topics, **more}


def error(topic: str, code: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "topic": topic, "code": code, "message": "no", **more}


def whole(cursor: str) -> dict[str, Any]:
    return {"cursor": cursor, "recovered": True}


def broken(cursor: str) -> dict[str, Any]:
    return {"cursor": cursor, "recovered": False, "reason": "trimmed"}


def followed(*names: str) -> PollTopics:
    """Topics whose start has been told, each at k-1."""
    topics = PollTopics()
    topics.add(names, {}, 1)
    topics.answer(topics.question(), [subscribed({name: whole("k-1") for name in names})])
    return topics


def test_positions_move_with_the_events_and_the_start_is_told_once() -> None:
    topics = PollTopics()
    topics.add([A], {A: "k-1"}, 7)
    topics.add([B], {}, 8)
    question = topics.question()
    assert question.body == {"topics": [A, B], "since": {A: "k-1"}}
    frames = [subscribed({A: whole("k-1"), B: broken("k-5")}), event(A, "k-2")]
    assert topics.answer(question, frames) == [
        subscribed({A: whole("k-1")}, id=7),
        subscribed({B: broken("k-5")}, id=8),
        event(A, "k-2"),
    ]
    assert topics.question().since == {A: "k-2", B: "k-5"}
    again = [subscribed({A: whole("k-2"), B: whole("k-5")}), event(B, "k-6")]
    assert topics.answer(topics.question(), again) == [event(B, "k-6")]


def test_a_topic_that_breaks_later_is_told_without_an_id() -> None:
    topics = followed(A, B)
    frames = [subscribed({A: broken("n-3"), B: whole("k-1")})]
    assert topics.answer(topics.question(), frames) == [subscribed({A: broken("n-3")})]
    assert topics.question().since == {A: "n-3", B: "k-1"}


def test_an_answer_to_an_older_question_is_not_for_who_came_back() -> None:
    topics = followed(A, B)
    question = topics.question()
    topics.remove([A])
    topics.add([A], {A: "k-0"}, 9)
    frames = [subscribed({A: whole("k-1"), B: whole("k-1")}), event(A, "k-2"), event(B, "k-2")]
    assert topics.answer(question, frames) == [event(B, "k-2")]
    assert topics.question().since == {A: "k-0", B: "k-2"}
    assert topics.answer(topics.question(), [subscribed({A: whole("k-0")})]) == [subscribed({A: whole("k-0")}, id=9)]


def test_who_has_left_hears_nothing() -> None:
    topics = followed(A, B)
    question = topics.question()
    topics.remove([A])
    assert topics.answer(question, [subscribed({A: broken("n-1")}), event(A, "k-2")]) == []
    assert (len(topics), topics.any()) == (1, B)


def test_a_refused_start_is_told_with_its_id_and_asked_for_no_more() -> None:
    topics = PollTopics()
    topics.add([A], {}, 3)
    topics.add([B], {}, None)
    frames = [error(A, "forbidden", id="theirs"), error(B, "unavailable")]
    assert topics.answer(topics.question(), frames) == [error(A, "forbidden", id=3), error(B, "unavailable")]
    assert len(topics) == 0


def test_a_refusal_of_a_topic_that_was_followed() -> None:
    topics = followed(A, B)
    frames = [error(A, "unavailable"), error(B, "forbidden")]
    taken = {"type": "unsubscribed", "topic": "system", "topics": [B], "reason": "permission_changed"}
    assert topics.answer(topics.question(), frames) == [taken]
    assert topics.question().topics == [A], "what passes by itself is asked for again"


def test_what_is_not_about_a_topic_goes_through() -> None:
    topics = followed(A)
    frames = [
        {"type": "reconnect", "topic": "system", "delay_ms": 5},
        error("system", "rate_limited"),
        {"type": "error", "code": "internal"},
        subscribed("nonsense"),  # type: ignore[arg-type]
        subscribed({A: 5}),
    ]
    assert topics.answer(topics.question(), frames) == frames[:3]
