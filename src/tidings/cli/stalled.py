"""Connections that were closed while their peer took nothing: reset, or they would stay for ever.

A close waits until what was written has gone out, and to a peer that has stopped reading it never does. ASGI knows
no way to give up, so a server has to.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

RESET_SECONDS = 5.0  # from the close, or from when it is first seen, to the reset


class Stalled:
    """Looks at the connections of one server from time to time. Time is handed in."""

    def __init__(self) -> None:
        self._closing_since: dict[Any, float] = {}

    def look(self, protocols: Iterable[Any], now: float) -> int:
        """Reset those whose close has not gone through for RESET_SECONDS; how many.

        :param protocols: uvicorn's, each with its ``transport``.
        """
        before, self._closing_since = self._closing_since, {}
        count = 0
        for protocol in list(protocols):
            transport = getattr(protocol, "transport", None)
            if transport is None or not transport.is_closing():
                continue
            since = before.get(protocol, now)
            if now - since < RESET_SECONDS:
                self._closing_since[protocol] = since
            else:
                _reset(transport)
                count += 1
        return count


def _reset(transport: Any) -> None:
    """Give up what the kernel holds too, which would go on trying for minutes."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):  # it is closed already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
