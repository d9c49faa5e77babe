"""What a poll that ends without an answer tells: why the session ended, not what was said of some topic."""

from __future__ import annotations

import pytest

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.frames import Error
from tidings.testing.virtual import run_virtual
from tidings.transports.poll import PollSink


def error(code: ErrorCode, topic: str) -> bytes:
    return Error(code=code.value, message="No.", topic=topic).encode()


@pytest.mark.parametrize(
    ("topic", "code", "told"),
    [
        ("gift-list:1", ErrorCode.FORBIDDEN, None),  # one of several topics: else the client would give up for good
        ("system", ErrorCode.UNAUTHORIZED, ErrorCode.UNAUTHORIZED),
    ],
)
def test_only_a_fault_of_the_session_explains_its_end(topic: str, code: ErrorCode, told: ErrorCode | None) -> None:
    async def run() -> None:
        sink = PollSink(0)
        sink.send(error(code, topic))
        sink.close(CloseCode.UNAUTHORIZED, "disconnected")
        assert (sink.fault and sink.fault.code) == told

    run_virtual(run())
