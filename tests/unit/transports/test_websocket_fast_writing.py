"""What a link writes, and when; and how readers are treated that do not keep up."""

from __future__ import annotations

import asyncio

import pytest

from tests.fast_links import BACKLOG_BYTES, Rig, Transport, event, turn
from tidings.core.codes import CloseCode
from tidings.core.websocket.frames import close_frame, text_frame
from tidings.transports.waiting_age import BACKLOG_SECONDS
from tidings.transports.websocket_fast_link import CLOSE_SECONDS, TURN_BYTES
from tidings.transports.websocket_fast_turn import SLICE_LINKS


@pytest.fixture
def rig() -> Rig:
    return Rig()


# Writing.


async def test_what_one_turn_has_leaves_in_one_write_and_is_joined_once_for_all(rig: Rig) -> None:
    links = [rig.link() for _ in range(5)]
    first, second, own = event(), event(offset=2), event(offset=3)
    for framed in (first, second):
        for link, _, _ in links:
            link.push(framed)
    links[0][0].push(own)
    assert all(not transport.writes for _, transport, _ in links)
    await turn()
    both = first.websocket + second.websocket
    assert [transport.writes for _, transport, _ in links] == [[both + own.websocket], *[[both]] * 4]
    assert len({id(transport.writes[0]) for _, transport, _ in links[1:]}) == 1, "the same bytes, not the same value"
    await turn()
    assert [len(transport.writes) for _, transport, _ in links] == [1] * 5


async def test_the_first_word_leaves_with_the_answer_to_the_handshake(rig: Rig) -> None:
    link, transport, _ = rig.link()
    link.answer(b"HTTP/1.1 101\r\n\r\n")
    asyncio.get_running_loop().call_soon(link.send, b'{"type":"welcome"}')
    await turn()
    await turn()
    assert transport.writes == [b"HTTP/1.1 101\r\n\r\n" + text_frame(b'{"type":"welcome"}')]
    link.answer(b"HTTP/1.1 101\r\n\r\n")
    await turn()
    await turn()
    assert len(transport.writes) == 2, "nor does it wait for a word that does not come"


async def test_a_single_event_is_never_copied(rig: Rig) -> None:
    links = [rig.link() for _ in range(3)]
    framed = event()
    for link, _, _ in links:
        link.push(framed)
    await turn()
    assert all(transport.writes[0] is framed.websocket for _, transport, _ in links)


async def test_control_frames_keep_their_place_among_events(rig: Rig) -> None:
    link, transport, _ = rig.link()
    link.send(b'{"type":"pong"}')
    link.push(event())
    link.ping()
    await turn()
    assert transport.written == text_frame(b'{"type":"pong"}') + event().websocket + b"\x89\x00"
    assert link.pushed_count == 2, "a protocol ping is no word of the server"


async def test_a_large_turn_is_written_before_it_has_ended(rig: Rig) -> None:
    link, transport, _ = rig.link()
    for offset in range(10):
        link.push(event(TURN_BYTES // 4, offset))
    assert transport.writes, "else it would count as waiting for the reader"
    await turn()
    assert transport.written == b"".join(event(TURN_BYTES // 4, offset).websocket for offset in range(10))


async def test_writing_for_many_gives_way_to_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [rig.link() for _ in range(SLICE_LINKS * 4)]
    write = Transport.write

    def slow(transport: Transport, data: bytes) -> None:
        rig.clock.advance(0.001)
        write(transport, data)

    monkeypatch.setattr(Transport, "write", slow)
    framed = event()
    for link, _, _ in links:
        link.push(framed)
    counts = []
    while (count := sum(len(transport.writes) for _, transport, _ in links)) < len(links):
        counts.append(count)
        await turn()
    assert counts == [0, SLICE_LINKS, SLICE_LINKS * 2, SLICE_LINKS * 3]


async def test_a_transport_that_raises_harms_no_other(rig: Rig) -> None:
    (broken, broken_transport, _), (whole, transport, _) = rig.link(), rig.link()

    def write(data: bytes) -> None:
        raise RuntimeError("unable to perform operation; the handler is closed")

    broken_transport.write = write  # type: ignore[method-assign]
    broken.push(event())
    whole.push(event())
    await turn()
    assert transport.writes == [event().websocket]


# Slow readers.


async def test_what_the_peer_does_not_take_waits_and_goes_out_in_order(rig: Rig) -> None:
    link, transport, connection = rig.link()
    transport.room_bytes = 10
    for offset in range(20):
        link.push(event(100, offset))
        if offset % 3 == 0:
            await turn()
    while transport.buffered_bytes:
        transport.make_room(37)
    assert transport.written == b"".join(event(100, offset).websocket for offset in range(20))
    assert connection.ended == []
    link.push(event(7))
    transport.make_room(None)
    await turn()
    assert transport.writes[-1] == event(7).websocket, "as before, by the turn"


async def test_beyond_its_bytes_a_slow_reader_is_cut_off_and_nobody_else(rig: Rig) -> None:
    (slow, transport, connection), (other, others_transport, _) = rig.link(), rig.link()
    transport.room_bytes = 10
    slow.push(event(1_000))
    await turn()
    began = transport.written
    count = 0
    while not connection.ended and count < 1_000:
        count += 1
        framed = event(1_000, count)
        slow.push(framed)
        other.push(framed)
        await turn()
    assert connection.ended == [CloseCode.TOO_SLOW]
    assert count * 1_000 < BACKLOG_BYTES + 1_000
    assert len(others_transport.writes) == count
    transport.make_room(None)
    assert transport.written == began + close_frame(4503, "too slow"), "what waited is dropped, not sent first"


async def test_a_reader_that_does_not_read_is_reset(rig: Rig) -> None:
    link, transport, connection = rig.link()
    transport.room_bytes = 0
    for offset in range(200):
        link.push(event(1_000, offset))
        await turn()
    assert connection.ended == [CloseCode.TOO_SLOW]
    rig.pass_seconds(CLOSE_SECONDS - 1)
    assert transport.state == "open"
    rig.pass_seconds(2)
    assert transport.state == "aborted"


async def test_what_waits_too_long_cuts_off_however_little_it_is(rig: Rig) -> None:
    link, transport, connection = rig.link()
    transport.room_bytes = 0
    link.push(event())
    await turn()
    rig.pass_seconds(BACKLOG_SECONDS - 1)
    assert connection.ended == []
    rig.pass_seconds(4)
    assert connection.ended == [CloseCode.TOO_SLOW]


async def test_a_reader_that_is_always_a_little_behind_is_not_cut_off(rig: Rig) -> None:
    link, transport, connection = rig.link()
    transport.room_bytes = 0
    for offset in range(600):
        link.push(event(100, offset))
        await turn()
        rig.pass_seconds(1)
        if offset % 5 == 4:
            transport.make_room(5 * len(event(100, offset).websocket) - (20 if offset == 4 else 0))
        assert transport.buffered_bytes > 0 and connection.ended == []


async def test_drained_waits_for_room(rig: Rig) -> None:
    link, transport, _ = rig.link()
    await asyncio.wait_for(link.drained(), 1)
    transport.room_bytes = 0
    for offset in range(50):
        link.push(event(1_000, offset))
        await turn()
    waiting = asyncio.ensure_future(link.drained())
    await turn()
    transport.make_room(10_000)
    await turn()
    assert not waiting.done()
    transport.make_room(None)
    await asyncio.wait_for(waiting, 1)


async def test_drained_returns_when_the_peer_is_gone(rig: Rig) -> None:
    link, transport, _ = rig.link()
    transport.room_bytes = 0
    for offset in range(50):
        link.push(event(1_000, offset))
        await turn()
    waiting = asyncio.ensure_future(link.drained())
    await turn()
    link.connection_lost(None)
    await asyncio.wait_for(waiting, 1)
