"""Bytes against messages, by section of RFC 6455; and the same bytes against another parser of the same grammar."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol, State

from tidings.core.codes import CloseCode
from tidings.core.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, FrameFault
from tidings.core.websocket.masking import unmask, unmask_by_tables
from tidings.core.websocket.reader import Binary, Close, FrameReader, Message, Ping, Pong, Text

KEY = b"\x01\x80\x7f\xff"


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, key: bytes | None = KEY, reserved: int = 0) -> bytes:
    """A client's frame; without a key it is not masked."""
    first = (0x80 if fin else 0) | reserved | opcode
    length, masked = len(payload), 0 if key is None else 0x80
    if length < 126:
        header = bytes((first, masked | length))
    elif length < 65_536:
        header = bytes((first, masked | 126)) + length.to_bytes(2, "big")
    else:
        header = bytes((first, masked | 127)) + length.to_bytes(8, "big")
    if key is None:
        return header + payload
    return header + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


@dataclass
class Read:
    messages: list[Message] = field(default_factory=list)
    fault: FrameFault | None = None

    @property
    def code(self) -> int | None:
        return None if self.fault is None else self.fault.code


def read(*pieces: bytes, reader: FrameReader | None = None) -> Read:
    """What becomes of bytes that come in these pieces."""
    reader = reader or FrameReader(1_000_000)
    done = Read()
    try:
        for piece in pieces:
            reader.put(piece)
            while (message := reader.next()) is not None:
                done.messages.append(message)
    except FrameFault as fault:
        done.fault = fault
    return done


def split(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


# 5.2 and 5.6: frames and messages.


@pytest.mark.parametrize("length", [0, 1, 5, 125, 126, 127, 65_535, 65_536, 100_000])
@pytest.mark.parametrize("pieces_of", [0, 1, 7, 1_448])
def test_a_message_of_any_length_in_any_pieces(length: int, pieces_of: int) -> None:
    if length > 10_000 and pieces_of == 1:
        pieces_of = 3
    text = ("aé€😀" * length)[:length].encode()[:length].decode(errors="ignore").ljust(1 if length else 0, "x")
    sent = frame(TEXT, text.encode()) + frame(BINARY, bytes(length)) + frame(PING, b"p")
    done = read(*(split(sent, pieces_of) if pieces_of else [sent]))
    assert done.messages == [Text(text), Binary(bytes(length)), Ping(b"p")] and done.fault is None


def test_many_messages_in_one_piece() -> None:
    assert read(frame(TEXT, b"ping") * 500).messages == [Text("ping")] * 500


def test_control_frames_come_between_fragments_and_do_not_disturb_them() -> None:
    sent = (
        frame(TEXT, "é".encode()[:1], fin=False) + frame(PING, b"x") + frame(CONTINUATION, b"", fin=False)
        + frame(PONG, b"y") + frame(CONTINUATION, "é".encode()[1:] + b"!")
    )  # fmt: skip
    for size in (1, 2, 3, len(sent)):
        assert read(*split(sent, size)).messages == [Ping(b"x"), Pong(b"y"), Text("é!")]


@pytest.mark.parametrize(
    "bad",
    [
        frame(TEXT, b"x", key=None),
        frame(PING, b"", key=None),
        frame(TEXT, b"x", reserved=0x40),  # as with permessage-deflate, which was never agreed on
        frame(TEXT, b"x", reserved=0x20),
        frame(TEXT, b"x", reserved=0x10),
        *(frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        frame(PING, b"x" * 126),
        frame(PING, b"x", fin=False),
        frame(CLOSE, b"\x03\xe8", fin=False),
        frame(CONTINUATION, b"x"),
        frame(CONTINUATION, b"x", fin=False),
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
        b"\x81\xff" + (2**63).to_bytes(8, "big"),
        frame(CLOSE, b"x"),
        *(frame(CLOSE, code.to_bytes(2, "big")) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535)),
    ],
)
def test_what_breaks_the_protocol(bad: bytes) -> None:
    for pieces in ([bad], split(bad, 1)):
        done = read(frame(TEXT, b"before"), *pieces)
        assert done.messages == [Text("before")]
        assert done.code == CloseCode.PROTOCOL_ERROR, done


# 7: closing.


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4401, 4999])
def test_close_codes_that_may_be_sent(code: int) -> None:
    assert read(frame(CLOSE, code.to_bytes(2, "big") + "gehört".encode())).messages == [Close(code, "gehört")]


def test_a_close_frame_without_a_code() -> None:
    assert read(frame(CLOSE)).messages == [Close(None, "")]


def test_a_reason_that_is_not_utf_8() -> None:
    assert read(frame(CLOSE, b"\x03\xe8\xff")).code == CloseCode.INVALID_DATA


# 8.1: text is UTF-8, and a bad byte is told as soon as it comes.

NOT_UTF_8 = [
    b"\xff", b"\xc3\x28", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"ok\x80", b"\xe2\x82",
]  # fmt: skip


@pytest.mark.parametrize("bad", NOT_UTF_8)
def test_text_that_is_not_utf_8(bad: bytes) -> None:
    sent = frame(TEXT, b"\xce\xba" + bad)
    assert read(sent).code == CloseCode.INVALID_DATA
    assert read(*split(sent, 1)).code == CloseCode.INVALID_DATA
    assert read(frame(TEXT, bad[:1], fin=False), frame(CONTINUATION, bad[1:])).code == CloseCode.INVALID_DATA
    assert read(frame(BINARY, bad)).messages == [Binary(bad)]


def test_a_bad_byte_is_told_before_the_message_has_ended() -> None:
    begun = frame(TEXT, b"\xce\xba\xf4\x90" + b"x" * 1_000, fin=False)
    assert read(begun).code == CloseCode.INVALID_DATA
    assert read(begun[: 6 + 4 + 2]).code == CloseCode.INVALID_DATA, "within a frame"


# Bounds (C10, C11).


def test_a_frame_too_large_is_refused_by_its_header() -> None:
    reader = FrameReader(100)
    assert read(frame(TEXT, b"x" * 100), reader=reader).messages == [Text("x" * 100)]
    assert read(frame(TEXT, b"x" * 101)[:4], reader=reader).code == CloseCode.TOO_LARGE
    assert read(b"\x81\xff" + (2**63 - 1).to_bytes(8, "big"), reader=FrameReader(100)).code == CloseCode.TOO_LARGE


def test_fragments_add_up() -> None:
    sent = frame(TEXT, b"x" * 60, fin=False) + frame(CONTINUATION, b"x" * 41)[:2]
    assert read(sent, reader=FrameReader(100)).code == CloseCode.TOO_LARGE


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_a_flood_of_fragments(payload: bytes) -> None:
    begun = frame(TEXT, payload, fin=False)
    assert read(begun, frame(CONTINUATION, payload, fin=False) * 14, frame(CONTINUATION, payload)).fault is None
    done = read(begun, frame(CONTINUATION, payload, fin=False) * 100_000)
    assert done.code == CloseCode.TOO_LARGE and "16 fragments" in str(done.fault)


def test_without_bounds_nothing_is_refused() -> None:
    reader = FrameReader(0, fragments_max=0)
    sent = frame(BINARY, b"x" * 70_000, fin=False) + frame(CONTINUATION, b"y", fin=False) * 1_000 + frame(CONTINUATION)
    assert read(sent, reader=reader).messages == [Binary(b"x" * 70_000 + b"y" * 1_000)]


def test_what_is_unfinished_is_known() -> None:
    sent = frame(TEXT, b"abc", fin=False) + frame(CONTINUATION, b"def")
    reader = FrameReader(100)
    assert not reader.unfinished
    for piece in split(sent, 1)[:-1]:
        read(piece, reader=reader)
        assert reader.unfinished
    assert read(sent[-1:], reader=reader).messages == [Text("abcdef")] and not reader.unfinished


# Against another implementation, and against itself.

KINDS = st.sampled_from([TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE])
FRAMES = st.lists(
    st.builds(
        frame, KINDS,
        st.one_of(st.binary(max_size=12), st.text(max_size=6).map(str.encode), st.just(b"\x03\xe8")),
        fin=st.booleans(), key=st.sampled_from([KEY, KEY, KEY, b"\0\0\0\0", None]),
        reserved=st.sampled_from([0, 0, 0, 0, 0x40]),
    ),
    max_size=6,
)  # fmt: skip
BYTES = st.one_of(FRAMES.map(b"".join), st.binary(max_size=60))


def theirs(data: bytes) -> tuple[list[tuple[int, bytes]], int | None]:
    """What ``websockets`` makes of the same bytes: whole messages, and the code it fails with."""
    protocol = Protocol(SERVER, state=State.OPEN, max_size=1_000_000)
    with contextlib.suppress(ProtocolError):
        protocol.receive_data(data)
    messages: list[tuple[int, bytes]] = []
    gathered: tuple[int, bytes] | None = None
    code = protocol.close_sent.code if protocol.parser_exc is not None and protocol.close_sent is not None else None
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        opcode, payload = int(event.opcode), bytes(event.data)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            opcode, payload = (gathered[0], gathered[1] + payload) if gathered is not None else (opcode, payload)
            gathered = None if event.fin else (opcode, payload)
            if not event.fin:
                continue
            if opcode == TEXT:
                try:
                    payload.decode()
                except UnicodeDecodeError:
                    return messages, CloseCode.INVALID_DATA  # which it leaves to its driver
        messages.append((opcode, payload))
        if opcode == CLOSE:
            break
    return messages, code


def ours(data: bytes) -> tuple[list[tuple[int, bytes]], int | None]:
    messages: list[tuple[int, bytes]] = []
    done = read(data)
    for message in done.messages:
        match message:
            case Text(text):
                messages.append((TEXT, text.encode()))
            case Binary(payload):
                messages.append((BINARY, payload))
            case Ping(payload):
                messages.append((PING, payload))
            case Pong(payload):
                messages.append((PONG, payload))
            case Close(code, reason):
                messages.append((CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason.encode()))
                return messages, None
    return messages, done.code


@settings(max_examples=2_000, deadline=None)
@given(FRAMES.map(b"".join))
def test_the_same_as_another_parser(data: bytes) -> None:
    our_messages, our_code = ours(data)
    their_messages, their_code = theirs(data)
    # We tell a bad byte at once, they at the message's end, which may never come, or bring another fault.
    sooner = our_code == CloseCode.INVALID_DATA and their_messages[: len(our_messages)] == our_messages
    # They refuse a close within fragments, which 5.4 allows: a client may give up.
    gave_up = (
        bool(our_messages)
        and our_messages[-1][0] == CLOSE
        and (their_messages, their_code) == (our_messages[:-1], 1002)
    )
    assert sooner or gave_up or (our_messages, our_code) == (their_messages, their_code)


@settings(max_examples=1_000, deadline=None)
@given(BYTES, st.lists(st.integers(0, 120), max_size=8))
def test_pieces_do_not_matter(data: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    whole, cut = read(data), read(*pieces)
    assert (whole.messages, whole.code) == (cut.messages, cut.code)


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
def test_both_ways_to_unmask_are_one(data: bytes, key: bytes) -> None:
    assert unmask(data, key) == unmask_by_tables(data, key)
    assert unmask(unmask(data, key), key) == data
