"""What a link makes of bytes that come, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from tests.fast_links import Rig, event, turn
from tests.raw_websocket import close, frame, text
from tidings.core.codes import CloseCode
from tidings.core.websocket.frames import close_frame, pong_frame
from tidings.transports.websocket_fast_link import CLOSE_SECONDS, MESSAGE_SECONDS


@pytest.fixture
def rig() -> Rig:
    return Rig()


# Reading.


async def test_frames_and_signs_of_life(rig: Rig) -> None:
    link, transport, connection = rig.link()
    link.data_received(text("a") + frame(9, b"p") + frame(10, b"") + text("b")[:4])
    link.data_received(text("b")[4:])
    await turn()
    assert connection.fed == ["a", "b"] and connection.heards == 2
    assert transport.written == pong_frame(b"p")


async def test_a_client_that_is_not_known_yet_may_send_little(rig: Rig) -> None:
    link, _, connection = rig.link()
    link.data_received(text("x" * 8_193)[:14])
    assert connection.ended == [CloseCode.TOO_LARGE]
    link, _, connection = rig.link()
    link.data_received(text("x" * 8_192) + text("y" * 100_000))
    assert connection.ended == [] and len(connection.fed) == 2


async def test_a_message_that_never_ends(rig: Rig) -> None:
    link, _, connection = rig.link()
    link.data_received(frame(1, b"x", fin=False))
    for _ in range(int(MESSAGE_SECONDS) - 1):
        rig.pass_seconds(1)
        link.data_received(frame(0, b"x", fin=False) + frame(9))  # neither more of it nor a ping helps
        assert connection.ended == []
    rig.pass_seconds(3)
    assert connection.ended == [CloseCode.TIMEOUT]


async def test_messages_that_always_end_a_little_later_are_fine(rig: Rig) -> None:
    link, _, connection = rig.link()
    whole = text("x" * 50)
    link.data_received(whole[:10])
    for count in range(60):
        rig.pass_seconds(1)
        link.data_received(whole[10:] + whole[:10])
        assert len(connection.fed) == count + 1 and connection.ended == []
    link.data_received(whole[10:])
    rig.pass_seconds(60)
    assert connection.ended == []
    assert rig.path.ticker._bucket_of == {}, "an idle connection has no deadline"


async def test_who_is_behind_is_read_no_further(rig: Rig) -> None:
    link, transport, connection = rig.link()
    connection.is_behind = True
    link.data_received(text("a") + text("b"))
    link.data_received(text("c"))
    assert connection.fed == ["a"] and not transport.reading
    connection.is_behind = False
    connection.room.set()
    await turn()
    await turn()
    assert connection.fed == ["a", "b", "c"] and transport.reading


async def test_a_client_that_leaves_while_it_is_behind_leaves_no_task(rig: Rig) -> None:
    link, _, connection = rig.link()
    connection.is_behind = True
    link.data_received(text("a") + text("b"))
    await turn()
    link.connection_lost(None)
    await turn()
    await turn()
    assert len(asyncio.all_tasks()) == 1 and connection.gones == 1


# Closing.


async def test_the_peer_closes(rig: Rig) -> None:
    link, transport, connection = rig.link()
    link.push(event())
    link.data_received(close(4000) + text("too late") + b"\xff" * 20)
    assert transport.written == event().websocket + close_frame(4000)
    assert transport.state == "closed" and connection.fed == [] and connection.gones == 1
    link.connection_lost(None)
    assert rig.connections == set() and rig.path.ticker._bucket_of == {}


async def test_the_server_closes(rig: Rig) -> None:
    link, transport, connection = rig.link()
    link.push(event())
    connection.end(CloseCode.UNAUTHORIZED, "disconnected")
    link.push(event())
    link.data_received(text("late"))
    await turn()
    assert transport.written == event().websocket + close_frame(4401, "disconnected")
    assert transport.state == "open" and connection.fed == []
    link.data_received(close(4401))
    assert transport.state == "closed"


async def test_a_peer_that_does_not_answer_the_close(rig: Rig) -> None:
    link, transport, connection = rig.link()
    connection.end(CloseCode.UNAUTHORIZED, "disconnected")
    await turn()
    link.data_received(frame(9) * 100)
    rig.pass_seconds(CLOSE_SECONDS + 2)
    assert transport.state == "aborted"


async def test_rubbish_is_answered_and_its_sender_sees_the_end(rig: Rig) -> None:
    link, transport, connection = rig.link()
    link.data_received(frame(1, b"{}", masked=False))
    assert connection.ended == [CloseCode.PROTOCOL_ERROR] and transport.ended
    assert transport.written.startswith(b"\x88") and b"\x03\xea" in transport.written
    link.data_received(b"\xff" * 1_000)
    rig.pass_seconds(CLOSE_SECONDS + 2)
    assert transport.state == "aborted"


async def test_a_slow_reader_that_closes(rig: Rig) -> None:
    link, transport, _ = rig.link()
    transport.room_bytes = 5
    for offset in range(5):
        link.push(event(1_000, offset))
        await turn()
    link.data_received(close())
    assert transport.state == "closed"
    assert transport.written == event(1_000, 0).websocket + close_frame(1000)


async def test_the_transport_is_lost(rig: Rig) -> None:
    link, transport, connection = rig.link()
    link.data_received(text("x")[:3])
    link.push(event())
    link.eof_received()
    link.push(event())
    link.connection_lost(ConnectionResetError())
    link.push(event())
    link.send(b"{}")
    link.close(1000, "")
    await turn()
    assert transport.written == b"" and connection.gones == 1
    assert rig.connections == set() and rig.path.ticker._bucket_of == {}
