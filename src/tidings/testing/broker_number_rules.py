"""The rules of numbered publishing (``core.numbering``), as functions like those of :mod:`.broker_rules`."""

from __future__ import annotations

import asyncio

from tidings.core.codes import UnrecoveredReason
from tidings.core.cursor import Cursor
from tidings.core.numbering import Numbered, OutOfSequence
from tidings.core.recovery import judge
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Stored
from tidings.testing.broker_rig import BrokerMaker

_LIST = TopicKey(None, "gift-list:1")


async def numbered_events_follow_one_another(maker: BrokerMaker) -> None:
    """Sent in order without waiting, each gets the next offset of one epoch."""
    async with maker.started() as (broker, _):
        start = await broker.head(_LIST)
        stored = await asyncio.gather(*(_number(broker, n) for n in range(1, 31)))
        assert [s.cursor for s in stored] == [Cursor(start.epoch, n) for n in range(1, 31)]
        history = await broker.history(_LIST, start, 100)
        assert [p.body for p in history.publications] == [b"%d" % n for n in range(1, 31)]


async def a_repeated_number_stores_nothing(maker: BrokerMaker) -> None:
    """The last number with its own token is a repeat, however late (F18, F61)."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        first = await _number(broker, 1)
        if maker.advance is not None:
            maker.advance(3_000)  # long after any idempotency key has gone
        assert await _number(broker, 1) == Stored(first.cursor, repeated=True)
        await _number(broker, 2)
        await recorder.until(b"2", _LIST)
        assert recorder.bodies(_LIST) == [b"1", b"2"]


async def a_number_out_of_sequence_is_refused(maker: BrokerMaker) -> None:
    """Below the last, or with a hole: nothing is stored, and the answer says what the last was."""
    async with maker.started() as (broker, _):
        for n in (1, 2, 3):
            await _number(broker, n)
        for wrong in (1, 2, 5):
            refusal = await _refused(broker, wrong)
            assert refusal.last is not None and refusal.last[:2] == (3, "t3")
        assert (await broker.head(_LIST)).offset == 3
        assert (await _number(broker, 4)).cursor.offset == 4


async def a_known_number_with_another_token_is_refused(maker: BrokerMaker) -> None:
    """The source has gone back, as after a restored backup: that is another event (F67)."""
    async with maker.started() as (broker, _):
        await _number(broker, 1)
        refusal = await _refused(broker, 1, token="other")
        assert refusal.last is not None and refusal.last[:2] == (1, "t1")
        assert (await broker.head(_LIST)).offset == 1


async def an_unknown_source_begins_with_its_first_number(maker: BrokerMaker) -> None:
    """In the topic's epoch. A higher number is refused: those before it may be lost, or on their way."""
    async with maker.started() as (broker, _):
        start = await broker.head(_LIST)
        assert (await _refused(broker, 2)).last is None
        assert (await _number(broker, 1)).cursor == Cursor(start.epoch, 1)
        assert (await _refused(broker, 7, source="other")).last is None
        later = await _number(broker, 7, source="other", afresh=True)
        assert later.cursor.epoch != start.epoch, "what may have been lost was not told"
        assert (await _number(broker, 8, source="other")).cursor.epoch == later.cursor.epoch
        assert (await _number(broker, 2)).cursor.epoch == later.cursor.epoch, "the first source's number was forgotten"


async def a_fresh_beginning_is_told(maker: BrokerMaker) -> None:
    """``afresh`` takes any number under a new epoch; nothing of the old one is left, and offsets never come again."""
    async with maker.started() as (broker, recorder):
        await broker.join(_LIST)
        for n in (1, 2, 3):
            await _number(broker, n)
        old = await broker.head(_LIST)
        fresh = await _number(broker, 9, afresh=True)
        assert fresh.cursor.epoch != old.epoch and fresh.cursor.offset > 0
        history = await broker.history(_LIST, old, 10)
        assert judge(old, history, 0) is UnrecoveredReason.EPOCH_CHANGED
        assert history.head == fresh.cursor
        await _number(broker, 10)
        before = Cursor(fresh.cursor.epoch, fresh.cursor.offset - 1)
        history = await broker.history(_LIST, before, 10)
        assert [p.body for p in history.publications] == [b"9", b"10"]
        await recorder.until(b"10", _LIST)
        assert [p.cursor.epoch for p in recorder.publications][-2:] == [fresh.cursor.epoch] * 2


async def numbers_belong_to_one_source_on_one_topic(maker: BrokerMaker) -> None:
    """Another topic, another tenant's topic and another source each count for themselves."""
    async with maker.started() as (broker, _):
        for key in (
            _LIST,
            TopicKey(None, "gift-list:2"),
            TopicKey("t-1", "gift-list:1"),
            TopicKey("t-2", "gift-list:1"),
        ):
            for source in ("s", "S"):
                for n in (1, 2):
                    stored = await _number(broker, n, key=key, source=source)
                    assert not stored.repeated


async def numbers_are_apart_from_offsets(maker: BrokerMaker) -> None:
    """Others may publish to the topic too; a repeat answers the offset that the event has got."""
    async with maker.started() as (broker, _):
        await broker.publish(_LIST, b"plain")
        first = await _number(broker, 1)
        assert first.cursor.offset == 2
        await broker.publish(_LIST, b"plain")
        assert await _number(broker, 1) == Stored(first.cursor, repeated=True)
        assert (await _number(broker, 2)).cursor.offset == 4


async def one_number_sent_twice_at_once_is_one_event(maker: BrokerMaker) -> None:
    """Two relays at work at the same moment: nothing is doubled or reordered (F62)."""
    async with maker.started() as (broker, _):

        async def relay() -> None:
            for n in range(1, 21):
                try:
                    await _number(broker, n)
                except OutOfSequence as refusal:
                    assert refusal.last is not None and refusal.last.number > n, (
                        "the other relay is ahead, never behind"
                    )

        await asyncio.gather(relay(), relay())
        head = await broker.head(_LIST)
        history = await broker.history(_LIST, Cursor(head.epoch, 0), 100)
        assert [p.body for p in history.publications] == [b"%d" % n for n in range(1, 21)]


async def _number(
    broker: Broker,
    number: int,
    *,
    key: TopicKey = _LIST,
    source: str = "s",
    token: str | None = None,
    afresh: bool = False,
) -> Stored:
    numbered = Numbered(source, number, token or f"t{number}", afresh)
    return await broker.publish(key, b"%d" % number, numbered=numbered)


async def _refused(broker: Broker, number: int, *, source: str = "s", token: str | None = None) -> OutOfSequence:
    try:
        await _number(broker, number, source=source, token=token)
    except OutOfSequence as refusal:
        return refusal
    raise AssertionError(f"number {number} was taken")
