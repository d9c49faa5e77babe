"""Where a stream stands: one position a topic, which goes back only when the client is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.frames import Error, Pong, Subscribed, TopicAnswer, Unsubscribed
from tidings.core.topics import TopicKey
from tidings.transports.asked import LAST_EVENT_ID_BYTES_MAX, _from_last_event_id
from tidings.transports.positions import Positions

A, B = "gift-list:a", "gift-list:b"


def subscribed(topic: str, cursor: str | None, reason: str | None = None) -> Subscribed:
    answer = TopicAnswer(cursor=cursor, recovered=reason is None, reason=UNSET if reason is None else reason)
    return Subscribed(topics={topic: answer})


def event(topic: str, cursor: str) -> Publication:
    return Publication(TopicKey(None, topic), Cursor.parse(cursor), b"{}", None)


def test_what_moved_last_stands_first() -> None:
    positions = Positions()
    assert positions.answered(subscribed(A, "k-1")) == b"id: gift-list:a=k-1\n"
    assert positions.answered(subscribed(B, "k-7")) == b"id: gift-list:b=k-7,gift-list:a=k-1\n"
    assert positions.moved(event(A, "k-2")) == b"id: gift-list:a=k-2,gift-list:b=k-7\n"


def test_topics_that_are_not_held_by_name_have_no_position() -> None:
    positions = Positions()
    assert positions.answered(subscribed("gift-list:*", None, "no_history")) == b"id: \n"
    assert positions.moved(event(A, "k-1")) == b""


def test_a_topic_whose_place_is_not_known_has_none() -> None:
    positions = Positions()
    positions.answered(subscribed(A, "k-5"))
    assert positions.answered(subscribed(A, None, "unavailable")) == b"id: \n"
    assert positions.moved(event(A, "k-6")) == b"", "it would stand for events that were never sent"


def test_a_second_subscribe_does_not_take_a_position_back() -> None:
    positions = Positions()
    positions.answered(subscribed(A, "k-1"))
    positions.moved(event(A, "k-9"))
    assert positions.answered(subscribed(A, "k-8")) == b"id: gift-list:a=k-9\n", "a fan-out is under way"
    assert positions.answered(subscribed(A, "k-8", "ahead")) == b"id: gift-list:a=k-8\n", "told, so it counts"
    assert positions.answered(subscribed(A, "m-1", "epoch_changed")) == b"id: gift-list:a=m-1\n"


def test_what_was_left_is_forgotten_and_an_empty_id_says_so() -> None:
    positions = Positions()
    positions.answered(subscribed(A, "k-1"))
    assert positions.answered(Unsubscribed(topics=[A, B])) == b"id: \n"
    assert positions.moved(event(A, "k-2")) == b""


def test_other_frames_write_no_id() -> None:
    positions = Positions()
    positions.answered(subscribed(A, "k-1"))
    assert positions.answered(Pong()) == positions.answered(Error(code="forbidden", message="No.")) == b""
    assert positions.answered(None) == b"", "a frame that is not known here"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}(:[A-Za-z0-9_.@~-]{1,60}){1,2}", fullmatch=True),
        st.builds(Cursor, st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True), st.integers(0, 2**63 - 1)),
        max_size=60,
    )
)
def test_what_is_written_is_read_back(positions: dict[str, Cursor]) -> None:
    held = Positions()
    line = b"id: \n"
    for topic, cursor in positions.items():
        line = held.answered(subscribed(topic, str(cursor)))
    assert line.startswith(b"id: ") and line.endswith(b"\n") and line.count(b"\n") == 1
    value = line.decode()[4:-1]
    assert len(value) <= LAST_EVENT_ID_BYTES_MAX
    back = _from_last_event_id(value)
    newest = list(positions)[len(positions) - len(back) :]
    assert back == {topic: str(positions[topic]) for topic in newest}
    if len(back) < len(positions):
        assert len(value) > LAST_EVENT_ID_BYTES_MAX - 250, "left out only what does not fit"
