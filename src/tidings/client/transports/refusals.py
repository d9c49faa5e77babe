"""What a status over HTTP means: the same as a close code."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tidings.client.transports.http import HTTP_FAULTS, Response
from tidings.client.transports.link import parse_frame

ERROR_BYTES_MAX = 65_536
SIGN_OF_LIFE = {"type": "pong", "topic": "system"}
"""A sign of life that is not a frame of the server's."""

_OURS = {403: 4403, 429: 4429, 503: 4503}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not accepted.

    :ivar close_code: of a WebSocket in its place; None where it was not the server itself that answered, so that
        another transport may do better.
    :ivar cause: for people, also where the answer has no words.
    """

    close_code: int | None
    code: str
    message: str | None
    retry_after_ms: float | None
    cause: str

    def frame(self, frame_id: object = None) -> dict[str, Any]:
        """The error frame that tells the machine why, and how long to wait."""
        frame: dict[str, Any] = {"type": "error", "topic": "system", "code": self.code}
        if self.message is not None:
            frame["message"] = self.message
        if self.retry_after_ms is not None:
            frame["retry_after_ms"] = self.retry_after_ms
        if frame_id is not None:
            frame["id"] = frame_id
        return frame


async def refusal_of(response: Response) -> Refusal:
    """Read what a response that is not 2xx says."""
    code, message = await _error_of(response)
    retry_after_ms = _milliseconds(response.headers.get("retry-after"))
    # A proxy has statuses of its own; only what the server itself says is about this client.
    ours = code is not None or retry_after_ms is not None
    if response.status == 401:
        close_code: int | None = 4401
    else:
        close_code = _OURS.get(response.status) if ours else None
    cause = message or f"the server answered HTTP {response.status}"
    return Refusal(close_code, code or "unavailable", message, retry_after_ms, cause)


async def _error_of(response: Response) -> tuple[str | None, str | None]:
    try:
        body = parse_frame(await response.body(ERROR_BYTES_MAX)) or {}
    except HTTP_FAULTS:
        body = {}  # the status says enough
    error = body.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return None, None
    message = error.get("message")
    return error["code"], message if isinstance(message, str) else None


def _milliseconds(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds * 1_000 if math.isfinite(seconds) and seconds >= 0 else None
