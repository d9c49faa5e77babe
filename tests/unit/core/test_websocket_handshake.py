"""The opening handshake, and the frames that a server writes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.streams import StreamReader
from websockets.utils import accept_key

from tidings.core.websocket.frames import PING_FRAME, close_frame, pong_frame, text_frame
from tidings.core.websocket.handshake import (
    HandshakeFault,
    accept_answer,
    check_upgrade,
    parse_request,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "example.com", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}  # fmt: skip


def request(
    changed: dict[str, str | None] | None = None, *, line: str = "GET /realtime/ws?token=a?b HTTP/1.1", more: str = ""
) -> bytes:
    headers = {name: value for name, value in {**GOOD, **(changed or {})}.items() if value is not None}
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), more]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


def refusal(data: bytes) -> HandshakeFault:
    with pytest.raises(HandshakeFault) as caught:
        check_upgrade(parse_request(data))
    return caught.value


def test_a_good_request() -> None:
    read = parse_request(request())
    assert (read.method, read.path, read.query) == (b"GET", b"/realtime/ws", b"token=a?b")
    assert dict(read.headers)[b"sec-websocket-key"] == KEY.encode()
    assert check_upgrade(read) == KEY.encode()


@pytest.mark.parametrize(
    "changed",
    [
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "keep-alive,upgrade ,x"},
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Content-Length": "0"},
        {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec-WebSocket-Protocol": "chat, superchat"},
        {"Origin": "https://example.com"},
    ],
)
def test_what_a_client_may_write_otherwise(changed: dict[str, str | None]) -> None:
    assert check_upgrade(parse_request(request(changed))) == KEY.encode()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Connection": None}, 426),
        ({"Connection": "close"}, 426),
        ({"Upgrade": None}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": "13, 8"}, 426),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400),
        ({"Sec-WebSocket-Key": KEY + "!"}, 400),
        ({"Sec-WebSocket-Key": "ü" * 24}, 400),
        ({"Content-Length": "5"}, 400),
        ({"Content-Length": "x"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Sec-WebSocket-Protocol": "chät"}, 400),
        ({"Cookie": "x" * 16_384}, 431),
    ],
)
def test_what_opens_no_websocket(changed: dict[str, str | None], status: int) -> None:
    fault = refusal(request(changed))
    assert fault.status == status
    head, _, body = fault.answer().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"\r\nconnection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    assert (b"sec-websocket-version: 13" in head) == ("Sec-WebSocket-Version" in changed)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (f"Sec-WebSocket-Key: {KEY}\r\n", 400),
        ("Sec-WebSocket-Version: 13\r\n", 426),
        ("Origin: https://a.example\r\nOrigin: https://b.example\r\n", 400),
        ("X: y\r\n" * 200, 431),
        ("no colon\r\n", 400),
        (" folded: line\r\n", 400),
        (": no name\r\n", 400),
    ],
)
def test_headers_too_many_or_malformed(more: str, status: int) -> None:
    assert refusal(request(more=more)).status == status


@pytest.mark.parametrize("line", ["POST / HTTP/1.1", "HEAD / HTTP/1.1", "get / HTTP/1.1"])
def test_another_method(line: str) -> None:
    assert refusal(request(line=line)).status == 405


@pytest.mark.parametrize(
    "data", [b"", b"GET", b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n", b"\0" * 99]
)
def test_what_is_no_request(data: bytes) -> None:
    assert refusal(data).status == 400


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=80).map(lambda extra: request()[:-2] + extra + b"\r\n\r\n"))
)
def test_any_bytes_are_a_request_or_a_refusal(data: bytes) -> None:
    try:
        assert check_upgrade(parse_request(data))
    except HandshakeFault as fault:
        assert 400 <= fault.status < 500


def test_headers_of_a_megabyte_cost_no_more_than_their_length() -> None:
    """No regular expression, no step back (C12): ten times the header, about ten times the time."""

    def seconds(count: int) -> float:
        data = request(more="X: " + ',;="( ' * count + "\r\n")
        begin = time.perf_counter()
        for _ in range(5):
            refusal(data)
        return time.perf_counter() - begin

    seconds(17_000)
    assert seconds(170_000) < max(seconds(17_000) * 60, 0.5)


def test_the_answer_is_as_another_implementation_reads_it() -> None:
    answer = accept_answer(KEY.encode(), [(b"date", b"today")])
    reader = StreamReader()
    reader.feed_data(answer)
    parsing = Response.parse(reader.read_line, reader.read_exact, reader.read_to_eof)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    read: Response = done.value.value
    assert read.status_code == 101 and read.headers["Sec-WebSocket-Accept"] == accept_key(KEY)
    assert read.headers["date"] == "today" and "Sec-WebSocket-Extensions" not in read.headers


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_as_another_implementation_writes_them(length: int) -> None:
    payload = b"x" * length
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    if length <= 125:
        assert pong_frame(payload) == Frame(Opcode.PONG, payload).serialize(mask=False)
    assert Frame(Opcode.PING, b"").serialize(mask=False) == PING_FRAME


def test_close_frames() -> None:
    assert close_frame(None) == b"\x88\x00"
    assert close_frame(4503, "too slow") == Frame(Opcode.CLOSE, Close(4503, "too slow").serialize()).serialize(
        mask=False
    )
    cut = close_frame(1000, "€" * 100)
    assert len(cut) <= 127 and Close.parse(cut[2:]).reason == "€" * 41, "never within a character"
