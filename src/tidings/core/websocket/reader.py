"""Bytes in, messages out: RFC 6455, 5.2 to 5.6, for what clients send.

    reader.put(data)
    while (message := reader.next()) is not None: ...

A frame is refused by its header, before its payload is waited for. A message that came whole is decoded where
it lies; one that comes in pieces is unmasked, checked and gathered as it comes, so that the cost is one copy
however small the pieces are.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from tidings.core.codes import CloseCode
from tidings.core.limits import exceeds
from tidings.core.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL_BYTES_MAX,
    CONTROL_OPCODES,
    DATA_OPCODES,
    FIN,
    LENGTH_MAX,
    MASKED,
    PING,
    PONG,
    RESERVED_BITS,
    TEXT,
    FrameFault,
    parse_close,
)
from tidings.core.websocket.masking import unmask

FRAGMENTS_MAX: Final = 16  # of one message; more is a flood of small ones, for our clients send none

_new_utf8_decoder = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Text:
    """A text message, checked to be UTF-8."""

    text: str


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, to be answered with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """A pong, asked for or not."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The client closes; nothing that comes after it counts. ``code`` is None where it named none."""

    code: int | None
    reason: str


Message = Text | Binary | Ping | Pong | Close


class _Gathering:
    """A data message that comes in pieces, and the frame of it whose payload is under way, if one is."""

    __slots__ = ("check", "data", "final", "fragments", "frame_open", "key", "opcode", "remaining", "whole")

    def __init__(self, opcode: int) -> None:
        self.opcode = opcode
        self.data = bytearray()
        self.check = _new_utf8_decoder() if opcode == TEXT else None
        self.fragments = 0
        self.frame_open = False
        self.final = False
        self.whole = False
        self.remaining = 0
        self.key = b""

    def begin_frame(self, key: bytes, length: int, *, final: bool) -> None:
        self.fragments += 1
        self.frame_open = True
        self.key = key
        self.remaining = length
        self.final = final

    def take(self, masked: bytes) -> None:
        """The next piece of the open frame's payload. Raises FrameFault as soon as text cannot be UTF-8 any more."""
        plain = unmask(masked, self.key)
        turn = len(masked) % 4
        self.key = self.key[turn:] + self.key[:turn]  # the next piece goes on where this one ended
        self.remaining -= len(masked)
        self.frame_open = self.remaining > 0
        self.whole = self.final and not self.frame_open
        self.data += plain
        if self.check is not None:
            try:
                self.check.decode(plain, final=self.whole)
            except UnicodeDecodeError:
                raise _not_utf_8() from None

    def message(self) -> Message:
        return Text(self.data.decode()) if self.opcode == TEXT else Binary(bytes(self.data))


class FrameReader:
    """The parser of one connection. Idle, it holds nothing but its two bounds.

    :ivar message_bytes_max: what one message may have, fragments added up; 0 for any size. May be changed.
    """

    __slots__ = ("_at", "_buffer", "_fragments_max", "_gathering", "message_bytes_max")

    def __init__(self, message_bytes_max: int, fragments_max: int = FRAGMENTS_MAX) -> None:
        self.message_bytes_max = message_bytes_max
        self._fragments_max = fragments_max
        self._buffer = b""
        self._at = 0
        self._gathering: _Gathering | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a message, or a frame, has begun and not ended: the driver should not wait for ever."""
        return self._gathering is not None or self._at < len(self._buffer)

    def put(self, data: bytes) -> None:
        """Take bytes from the wire; you must then call ``next`` until it returns None."""
        # What is left over is a header or a control frame: 139 bytes at most, unless `next` was not called.
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0

    def next(self) -> Message | None:
        """The next message, or None until more bytes come. Raises FrameFault: then the connection ends."""
        message = self._next()
        if message is None and self._at:
            self._buffer = self._buffer[self._at :]  # let go of what has been read
            self._at = 0
        return message

    def _next(self) -> Message | None:
        while True:
            gathering = self._gathering
            if gathering is not None and gathering.frame_open:
                piece = self._buffer[self._at : self._at + gathering.remaining]
                if not piece:
                    return None
                self._at += len(piece)
                gathering.take(piece)
                if gathering.whole:
                    self._gathering = None
                    return gathering.message()
                continue
            header = self._header()
            if header is None:
                return None
            opcode, final, length, start = header
            if opcode in CONTROL_OPCODES:
                if start + length > len(self._buffer):
                    return None
                self._at = start + length
                return _control(opcode, unmask(self._buffer[start : self._at], self._buffer[start - 4 : start]))
            message = self._data(opcode, length, start, final=final)
            if message is not None:
                return message

    def _header(self) -> tuple[int, bool, int, int] | None:
        """Opcode, FIN, the payload's length and where it begins; None where the header is not all there yet."""
        buffer, at = self._buffer, self._at
        there = len(buffer) - at
        if there < 2:
            return None
        first, second = buffer[at], buffer[at + 1]
        opcode = first & 0x0F
        if first & RESERVED_BITS:
            raise _protocol_error("a reserved bit is set, and no extension was agreed on")
        if not second & MASKED:
            raise _protocol_error("a client's frames must be masked")
        length = second & 0x7F
        if opcode in CONTROL_OPCODES:
            if not first & FIN:
                raise _protocol_error("a control frame in fragments")
            if length > CONTROL_BYTES_MAX:
                raise _protocol_error("a control frame of more than 125 bytes")
        elif opcode not in DATA_OPCODES:
            raise _protocol_error(f"the opcode {opcode} is reserved")
        start = at + 6
        if length > 125:
            width = 2 if length == 126 else 8
            if there < 2 + width:
                return None
            length = int.from_bytes(buffer[at + 2 : at + 2 + width], "big")
            if length > LENGTH_MAX:
                raise _protocol_error("the top bit of a length is set")
            start += width
        if opcode in DATA_OPCODES:
            self._check_data(opcode, length)
        return None if start > len(buffer) else (opcode, first & FIN != 0, length, start)

    def _check_data(self, opcode: int, length: int) -> None:
        """By the header alone: a frame too large is refused before its payload comes."""
        gathering = self._gathering
        before_bytes, fragments = 0, 1
        if gathering is None:
            if opcode == CONTINUATION:
                raise _protocol_error("a continuation of no message")
        else:
            if opcode != CONTINUATION:
                raise _protocol_error("a message within the fragments of another")
            before_bytes, fragments = len(gathering.data), gathering.fragments + 1
        if exceeds(before_bytes + length, self.message_bytes_max):
            raise FrameFault(CloseCode.TOO_LARGE, f"a message of more than {self.message_bytes_max} bytes")
        if exceeds(fragments, self._fragments_max):
            raise FrameFault(CloseCode.TOO_LARGE, f"a message of more than {self._fragments_max} fragments")

    def _data(self, opcode: int, length: int, start: int, *, final: bool) -> Message | None:
        """Begin a data frame; the message, where it is whole."""
        buffer, end = self._buffer, start + length
        key = buffer[start - 4 : start]
        gathering = self._gathering
        if gathering is None and final and end <= len(buffer):
            self._at = end
            payload = unmask(buffer[start:end], key)
            if opcode == BINARY:
                return Binary(payload)
            try:
                return Text(payload.decode())
            except UnicodeDecodeError:
                raise _not_utf_8() from None
        self._at = start
        if gathering is None:
            gathering = self._gathering = _Gathering(opcode)
        gathering.begin_frame(key, length, final=final)
        if length == 0:
            gathering.take(b"")
            if gathering.whole:
                self._gathering = None
                return gathering.message()
        return None


def _control(opcode: int, payload: bytes) -> Message:
    if opcode == PING:
        return Ping(payload)
    if opcode == PONG:
        return Pong(payload)
    assert opcode == CLOSE
    return Close(*parse_close(payload))


def _protocol_error(reason: str) -> FrameFault:
    return FrameFault(CloseCode.PROTOCOL_ERROR, reason)


def _not_utf_8() -> FrameFault:
    return FrameFault(CloseCode.INVALID_DATA, "a text message is not UTF-8")
