"""RFC 6455, 5: the frame. What the server sends is never masked, never fragmented, never compressed."""

from __future__ import annotations

from typing import Final

from tidings.core.codes import CloseCode

# Opcodes are plain integers: they are compared once for each frame.
CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
DATA_OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY))
CONTROL_OPCODES: Final = frozenset((CLOSE, PING, PONG))

FIN: Final = 0x80
RESERVED_BITS: Final = 0x70
MASKED: Final = 0x80
CONTROL_BYTES_MAX: Final = 125
REASON_BYTES_MAX: Final = CONTROL_BYTES_MAX - 2
LENGTH_MAX: Final = 2**63 - 1

PING_FRAME: Final = bytes((FIN | PING, 0))

# RFC 6455, 7.4.1, and 1012 to 1014 of IANA's registry: those that may stand in a frame.
_CODES_ON_THE_WIRE = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))
_CODES_OF_APPLICATIONS = range(3_000, 5_000)


class FrameFault(Exception):
    """The peer broke the protocol; the connection is closed with ``code``.

    :ivar code: 1002, 1007 or 1009.
    :ivar reason: what was wrong, at most 123 bytes.
    """

    def __init__(self, code: CloseCode, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{code.value}: {reason}")


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One frame with the whole message in it, as a server sends it."""
    length = len(payload)
    if length < 126:
        return b"%c%c%b" % (FIN | opcode, length, payload)
    if length < 65_536:
        return b"%c\x7e%b%b" % (FIN | opcode, length.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (FIN | opcode, length.to_bytes(8, "big"), payload)


def text_frame(payload: bytes) -> bytes:
    """One text message; the payload must be UTF-8."""
    return encode_frame(TEXT, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping, with the same payload (5.5.3)."""
    return encode_frame(PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """A close frame; ``None`` answers a close frame that named no code. A reason too long is cut off."""
    if code is None:
        return encode_frame(CLOSE, b"")
    told = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore").encode()  # never within a character
    return encode_frame(CLOSE, code.to_bytes(2, "big") + told)


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """The code and the reason of a client's close frame. Raises FrameFault (5.5.1, 7.4)."""
    if not payload:
        return None, ""
    if len(payload) < 2:
        raise FrameFault(CloseCode.PROTOCOL_ERROR, "a close frame of one byte")
    code = int.from_bytes(payload[:2], "big")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise FrameFault(CloseCode.INVALID_DATA, "the reason of a close frame is not UTF-8") from None
    if code not in _CODES_ON_THE_WIRE and code not in _CODES_OF_APPLICATIONS:
        raise FrameFault(CloseCode.PROTOCOL_ERROR, f"the close code {code} may not be sent")
    return code, reason
