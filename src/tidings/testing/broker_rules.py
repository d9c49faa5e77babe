"""The rules of ``tidings.ports.Broker``, one function each: it raises AssertionError where a broker breaks it.

The names are sentences, for they are what a failed run shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.events import Exclude, Publication
from tidings.core.limits import Limits
from tidings.core.recovery import judge
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Stored
from tidings.testing.broker_rig import BrokerMaker

_LIST = TopicKey(None, "gift-list:1")


async def events_are_stored_in_order_without_a_hole(maker: BrokerMaker) -> None:
    """Offsets count from 1, and history gives the bodies in the order of publishing."""
    async with maker.started() as (broker, _):
        start = await broker.head(_LIST)
        stored = [await broker.publish(_LIST, body) for body in _bodies(20)]
        assert start.offset == 0, f"the head before the first event has offset {start.offset}, not 0"
        assert [s.cursor for s in stored] == [Cursor(start.epoch, n) for n in range(1, 21)]
        history = await broker.history(_LIST, start, 100)
        assert [p.body for p in history.publications] == _bodies(20)
        assert [p.cursor.offset for p in history.publications] == list(range(1, 21))
        assert all(p.key == _LIST for p in history.publications), "a publication does not carry its key"


async def epoch_is_made_once(maker: BrokerMaker) -> None:
    """First uses at the same moment agree on one epoch, and topics do not share one."""
    async with maker.started() as (broker, _):
        heads = asyncio.gather(*(broker.head(_LIST) for _ in range(10)))
        stored = asyncio.gather(*(broker.publish(_LIST, body) for body in _bodies(10)))
        epochs = {head.epoch for head in await heads} | {s.cursor.epoch for s in await stored}
        assert len(epochs) == 1, f"one topic has several epochs: {sorted(epochs)}"
        other = await broker.head(TopicKey(None, "gift-list:2"))
        assert other.epoch not in epochs, "two topics share an epoch"
        assert Cursor.parse(str(other)) == other, f"{other} is not a cursor of the wire"


async def concurrent_publishes_each_get_a_place(maker: BrokerMaker) -> None:
    """Of many publishes at once no two get one offset, none gets lost, and each is where its answer says."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        start = await broker.head(_LIST)
        bodies = _bodies(100)
        answers = await asyncio.gather(*(broker.publish(_LIST, body) for body in bodies))
        assert sorted(a.cursor.offset for a in answers) == list(range(1, 101))
        history = await broker.history(_LIST, start, 200)
        place = {p.cursor: p.body for p in history.publications}
        assert all(place[a.cursor] == body for a, body in zip(answers, bodies, strict=True))
        await recorder.until(history.publications[-1].body, _LIST)
        live = {p.cursor: p.body for p in recorder.publications}
        assert all(place[cursor] == body for cursor, body in live.items()), "live and history differ"


async def live_messages_name_their_place(maker: BrokerMaker) -> None:
    """What the receiver is told carries key, cursor, body and exclude as they were stored."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        stored = await broker.publish(_LIST, b'{"a":"\xc3\xa4"}', exclude=Exclude(user="u-1", session="s-1"))
        await recorder.until(b'{"a":"\xc3\xa4"}', _LIST)
        assert recorder.publications[0] == Publication(
            _LIST, stored.cursor, b'{"a":"\xc3\xa4"}', Exclude(user="u-1", session="s-1")
        )


async def an_event_is_stored_before_it_is_told(maker: BrokerMaker) -> None:
    """At the moment of the live message the head is not below it: else a reader of the gap would find nothing."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        await broker.publish(_LIST, b"{}")
        await recorder.until(b"{}", _LIST)
        told = recorder.publications[0].cursor
        history = await broker.history(_LIST, Cursor(told.epoch, 0), 10)
        assert history.head.offset >= told.offset
        assert told in [p.cursor for p in history.publications]


async def history_starts_after_since_and_keeps_to_the_limit(maker: BrokerMaker) -> None:
    """Oldest first, at most ``limit``, and the head of the whole topic."""
    async with maker.started() as (broker, _):
        await _publish(broker, _LIST, 10)
        head = await broker.head(_LIST)
        page = await broker.history(_LIST, Cursor(head.epoch, 3), 4)
        assert [p.cursor.offset for p in page.publications] == [4, 5, 6, 7]
        assert page.head == head
        rest = await broker.history(_LIST, Cursor(head.epoch, 7), 100)
        assert [p.cursor.offset for p in rest.publications] == [8, 9, 10]
        nothing = await broker.history(_LIST, head, 100)
        assert nothing.publications == () and nothing.head == head


async def history_and_head_are_of_one_moment(maker: BrokerMaker) -> None:
    """Read while others publish, the last event of an unlimited history is the head."""
    async with maker.started() as (broker, _):
        start = await broker.head(_LIST)
        publishing = asyncio.gather(*(broker.publish(_LIST, body) for body in _bodies(50)))
        reads = await asyncio.gather(*(broker.history(_LIST, start, 1_000) for _ in range(20)))
        await publishing
        for history in reads:
            last = history.publications[-1].cursor if history.publications else start
            assert history.head == last, f"the head is {history.head}, the last event {last}"


async def history_of_a_cursor_it_cannot_serve_is_told_by_facts(maker: BrokerMaker) -> None:
    """Another epoch, and an offset above the head, give the head and no events; nothing is raised."""
    async with maker.started() as (broker, _):
        await _publish(broker, _LIST, 3)
        head = await broker.head(_LIST)
        foreign = Cursor("another" if head.epoch != "another" else "other", 1)
        history = await broker.history(_LIST, foreign, 10)
        assert history.head == head and history.publications == ()
        assert judge(foreign, history, 0) is UnrecoveredReason.EPOCH_CHANGED
        above = Cursor(head.epoch, head.offset + 5)
        history = await broker.history(_LIST, above, 10)
        assert history.head == head and history.publications == ()
        assert judge(above, history, 0) is UnrecoveredReason.AHEAD


async def size_trims_the_oldest(maker: BrokerMaker) -> None:
    """Beyond ``history_events`` the oldest go; who needs them is told ``trimmed``, the others recover whole."""
    async with maker.started(Limits(history_events=5)) as (broker, _):
        await _publish(broker, _LIST, 12)
        head = await broker.head(_LIST)
        assert head.offset == 12, "trimming moved the head"
        too_old = await broker.history(_LIST, Cursor(head.epoch, 6), 100)
        assert judge(Cursor(head.epoch, 6), too_old, 0) is UnrecoveredReason.TRIMMED
        whole = await broker.history(_LIST, Cursor(head.epoch, 7), 100)
        assert [p.cursor.offset for p in whole.publications] == [8, 9, 10, 11, 12]
        assert judge(Cursor(head.epoch, 7), whole, 0) is None


async def age_drops_the_oldest(maker: BrokerMaker) -> None:
    """Beyond ``history_seconds`` events go; who needs them is told ``expired``, and the position stays."""
    if maker.advance is None:
        return
    async with maker.started(Limits(history_seconds=60)) as (broker, _):
        await broker.join(_LIST)
        await broker.publish(_LIST, b"1")
        head = await broker.head(_LIST)
        maker.advance(61)
        history = await broker.history(_LIST, Cursor(head.epoch, 0), 10)
        assert history.head == head, "a topic with a listener lost its position by age"
        assert judge(Cursor(head.epoch, 0), history, 0) is UnrecoveredReason.EXPIRED
        assert judge(head, history, 0) is None, "who has seen all has missed nothing"
        assert (await broker.publish(_LIST, b"2")).cursor == Cursor(head.epoch, 2)


async def a_repeat_stores_nothing_and_answers_the_first_cursor(maker: BrokerMaker) -> None:
    """One idempotency key is one event, told once, though repeats come at the same moment."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        answers = await asyncio.gather(*(broker.publish(_LIST, b"1", idempotency_key="k") for _ in range(10)))
        assert len({a.cursor for a in answers}) == 1
        assert sum(not a.repeated for a in answers) == 1, "not exactly one of ten was the first"
        again = await broker.publish(_LIST, b"another body", idempotency_key="k")
        assert again == Stored(answers[0].cursor, repeated=True)
        await broker.publish(_LIST, b"last")
        await recorder.until(b"last", _LIST)
        assert recorder.bodies(_LIST) == [b"1", b"last"]
        assert (await broker.head(_LIST)).offset == 2


async def idempotency_keys_belong_to_one_topic_of_one_tenant(maker: BrokerMaker) -> None:
    """The same key on another topic, or of another tenant, is another event."""
    async with maker.started() as (broker, _):
        keys = [_LIST, TopicKey(None, "gift-list:2"), TopicKey("t-1", "gift-list:1"), TopicKey("t-2", "gift-list:1")]
        answers = [await broker.publish(key, b"{}", idempotency_key="k") for key in keys]
        assert not any(a.repeated for a in answers)
        assert [a.cursor.offset for a in answers] == [1, 1, 1, 1]


async def trimming_spares_idempotency_keys(maker: BrokerMaker) -> None:
    """A repeat is known though its event has left the history."""
    async with maker.started(Limits(history_events=2)) as (broker, _):
        first = await broker.publish(_LIST, b"1", idempotency_key="k")
        await _publish(broker, _LIST, 5)
        again = await broker.publish(_LIST, b"1", idempotency_key="k")
        assert again == Stored(first.cursor, repeated=True)


async def idempotency_keys_end(maker: BrokerMaker) -> None:
    """After ``idempotency_seconds`` a key is free; before, it is not."""
    if maker.advance is None:
        return
    async with maker.started(Limits(idempotency_seconds=600)) as (broker, _):
        await broker.publish(_LIST, b"1", idempotency_key="k")
        maker.advance(599)
        assert (await broker.publish(_LIST, b"1", idempotency_key="k")).repeated
        maker.advance(2)  # the repeat did not prolong it
        assert not (await broker.publish(_LIST, b"1", idempotency_key="k")).repeated


async def only_joined_topics_are_told(maker: BrokerMaker) -> None:
    """No message of what was never joined, or was left; joining twice is once."""
    async with maker.started() as (broker, recorder):
        other, fence = TopicKey(None, "gift-list:2"), TopicKey(None, "fence:1")
        await broker.join(fence)
        await broker.join(_LIST)
        await broker.join(_LIST)
        await broker.publish(other, b"never")
        await broker.publish(_LIST, b"1")
        await recorder.until(b"1", _LIST)
        await broker.leave(_LIST)
        await broker.publish(fence, b"2")
        await recorder.until(b"2", fence)  # what was under way at the time of leaving has come by now
        await broker.publish(_LIST, b"3")
        await broker.publish(fence, b"4")
        await recorder.until(b"4", fence)
        assert recorder.bodies(_LIST) == [b"1"]
        assert recorder.bodies(other) == []
        await broker.leave(other)  # leaving what was not joined is nothing


async def a_wildcard_hears_its_type_alone(maker: BrokerMaker) -> None:
    """``type:*`` gets every topic of the type in its tenant, deeper ones too, and leaving it spares the named ones."""
    async with maker.started() as (broker, recorder):
        wildcard, deep = TopicKey("t-1", "gift-list:*"), TopicKey("t-1", "gift-list:1:notes")
        mine, named = TopicKey("t-1", "gift-list:1"), TopicKey("t-1", "gift-list:2")
        await broker.join(wildcard)
        await broker.join(named)
        strangers = [TopicKey("t-1", "gift:1"), TopicKey("t-2", "gift-list:1"), TopicKey(None, "gift-list:1")]
        for stranger in strangers:
            await broker.publish(stranger, b"not for t-1's lists")
        for key in (mine, deep, named):
            await broker.publish(key, b"1")
            await recorder.until(b"1", key)
        assert {p.key for p in recorder.publications} == {mine, deep, named}
        await broker.leave(wildcard)
        await broker.publish(mine, b"2")
        await broker.publish(named, b"2")
        await recorder.until(b"2", named)


async def keys_never_meet(maker: BrokerMaker) -> None:
    """However hostile, two keys are two topics: each has its own history, epoch and messages (promise 4)."""
    async with maker.started() as (broker, recorder):
        keys = [TopicKey(tenant, topic) for tenant in _HOSTILE_TENANTS for topic in _CLOSE_TOPICS]
        for key in keys:
            await broker.join(key)
        for number, key in enumerate(keys):
            await broker.publish(key, b"%d" % number)
        for number, key in enumerate(keys):
            await recorder.until(b"%d" % number, key)
            assert recorder.bodies(key) == [b"%d" % number], f"{key} got another key's message"
            head = await broker.head(key)
            history = await broker.history(key, Cursor(head.epoch, 0), 10)
            assert [(p.key, p.body) for p in history.publications] == [(key, b"%d" % number)], f"{key} is shared"
        epochs = [(await broker.head(key)).epoch for key in keys]
        assert len(set(epochs)) == len(keys), "two keys share an epoch"


async def exclude_is_kept_in_history(maker: BrokerMaker) -> None:
    """Whom a publication leaves out is known in recovery too (R10)."""
    async with maker.started() as (broker, _):
        excludes: Sequence[Exclude | None] = [
            None,
            Exclude(user="u-1"),
            Exclude(session="s-1"),
            Exclude(user="ü:\n", session="s"),
        ]
        for exclude in excludes:
            await broker.publish(_LIST, b"{}", exclude=exclude)
        head = await broker.head(_LIST)
        history = await broker.history(_LIST, Cursor(head.epoch, 0), 10)
        assert [p.exclude for p in history.publications] == excludes


async def the_head_of_an_empty_topic_stays(maker: BrokerMaker) -> None:
    """A position that was given out before the first event is a position: the first event follows it."""
    async with maker.started() as (broker, _):
        head = await broker.head(_LIST)
        assert await broker.head(_LIST) == head
        history = await broker.history(_LIST, head, 10)
        assert history.head == head and history.publications == ()
        assert (await broker.publish(_LIST, b"{}")).cursor == Cursor(head.epoch, 1)


async def a_forgotten_topic_gets_a_fresh_epoch(maker: BrokerMaker) -> None:
    """Offsets start again only under another epoch: an old cursor must never fit new events."""
    if maker.advance is None:
        return
    async with maker.started(Limits(history_seconds=60, idempotency_seconds=60)) as (broker, _):
        await _publish(broker, _LIST, 3)
        old = await broker.head(_LIST)
        maker.advance(1_000)
        await broker.head(TopicKey(None, "gift-list:2"))
        new = await broker.head(_LIST)
        assert new == old or (new.epoch != old.epoch and new.offset == 0), f"{old} became {new}"


async def a_closed_broker_is_silent(maker: BrokerMaker) -> None:
    """After ``close`` has returned, the receiver hears nothing."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        await broker.publish(_LIST, b"1")
        await recorder.until(b"1", _LIST)
        publishing = [asyncio.create_task(broker.publish(_LIST, body)) for body in _bodies(20)]
        await broker.close()
        told = len(recorder.publications)
        await asyncio.gather(*publishing, return_exceptions=True)
        assert len(recorder.publications) == told, "the receiver was told of an event after close"


async def _publish(broker: Broker, key: TopicKey, count: int) -> None:
    for body in _bodies(count):
        await broker.publish(key, body)


def _bodies(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


# Tenants come from credentials, so their text is anybody's: separators, patterns and escapes of brokers,
# empty, the same letters in two Unicode forms. Topics keep to their grammar, and are chosen to collide.
_HOSTILE_TENANTS = (
    None, "", "None", "null", "a", "a:gift-list", "a_gift-list", "A", "*", ">", ".", "a.b", "{a}", "a}", "a/b", "~61",
    "%61", "\0", "a\0", " ", "\n", "\u00e9", "e\u0301", "__proto__", "-", "1:a", "a" * 300, "a" * 301,
)  # fmt: skip
_CLOSE_TOPICS = ("gift-list:1", "gift:list:1", "gift-list:1:1", "gift-list:1_1", "gift-list:1.1", "list:a")
