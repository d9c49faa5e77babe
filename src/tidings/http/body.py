"""A request's body: JSON only, and never more of it than the limit (C26)."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.limits import exceeds

JSON = "application/json"
NDJSON = "application/x-ndjson"


def media_type(request: Request, *supported: str) -> str:
    """The body's content type. Raises PeerError ``unsupported_media_type`` for another than those.

    That also keeps out what a foreign page can send without asking first: its forms are no JSON.
    """
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    charsets = [p.partition("=")[2].strip().strip('"') for p in parameters if p.strip().startswith("charset")]
    encoding = request.headers.get("content-encoding", "identity").lower()
    if kind.strip() not in supported or any(c not in ("utf-8", "utf8") for c in charsets) or encoding != "identity":
        raise PeerError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"Send the body as {' or '.join(supported)} in UTF-8, without Content-Encoding.",
        )
    return kind.strip()


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body. Raises PeerError ``body_too_large`` as soon as it is, with or without Content-Length."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and exceeds(int(declared[:20]), bytes_max):
        raise _too_large(bytes_max)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if exceeds(len(body), bytes_max):
            raise _too_large(bytes_max)
    return bytes(body)


def decode(text: bytes, where: str = "The body") -> Any:
    """JSON text as plain values. Raises PeerError ``bad_json``."""
    try:
        return msgspec.json.decode(text)
    except RecursionError:
        raise PeerError(ErrorCode.BAD_JSON, f"{where} nests too deep.") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PeerError(ErrorCode.BAD_JSON, f"{where} is not JSON: {error}.") from None


async def read_object(request: Request, bytes_max: int) -> dict[str, Any]:
    """The body as one JSON object. Raises PeerError ``bad_json``, ``bad_frame`` or those of the above."""
    media_type(request, JSON)
    value = decode(await read_body(request, bytes_max))
    if not isinstance(value, dict):
        raise PeerError(ErrorCode.BAD_FRAME, "The body must be a JSON object.")
    return value


def _too_large(bytes_max: int) -> PeerError:
    return PeerError(ErrorCode.BODY_TOO_LARGE, f"The body has more than {bytes_max} bytes; send fewer events at once.")
