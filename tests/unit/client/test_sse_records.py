"""An event stream is read the same, however the network has cut it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.client.transports.http import BadAnswer
from tidings.client.transports.sse_records import COMMENT, SseReader, SseRecord

STREAM = (
    b":" + b" " * 50 + b"\nretry: 1234\n\n"
    b'id: gift-list:1=k-1\ndata: {"a":"\xc3\xa9"}\n\n'
    b": still here\n\n"
    b"data:one\r\ndata: two\r\n\r\n"
    b'event: close\ndata: {"code":1012}\n\n'
    b"data: never ended"
)
RECORDS = [
    COMMENT,
    SseRecord("message", '{"a":"é"}'.encode()),
    COMMENT,
    SseRecord("message", b"one\ntwo"),
    SseRecord("close", b'{"code":1012}'),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_however_it_is_cut(cuts: list[int]) -> None:
    reader, records = SseReader(), []
    bounds = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(bounds):
        records += reader.push(STREAM[start:end])
    assert records == RECORDS


def test_byte_by_byte() -> None:
    reader = SseReader()
    assert [record for byte in STREAM for record in reader.push(bytes([byte]))] == RECORDS


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 60, b"x" * 70, b"data: xxxxxxxxxxxx\n" * 6])
def test_a_record_that_is_too_large_ends_it(chunk: bytes) -> None:
    reader = SseReader(record_bytes_max=64)
    for _ in range(3):
        assert len(reader.push(b"data: " + b"x" * 20 + b"\n\n")) == 1, "each is small"
    with pytest.raises(BadAnswer, match="larger than 64 bytes"):
        reader.push(chunk)


def test_large_records_in_small_pieces_take_no_square_time() -> None:
    reader, piece = SseReader(), b"x" * 1_000
    reader.push(b"data: ")
    for _ in range(16_000):  # as much as a record may be; scanned anew each time this would take minutes
        assert reader.push(piece) == []
    (record,) = reader.push(b"\n\n")
    assert len(record.data) == 16_000_000
