"""One WebSocket to the server, with its credentials said; or why there is none."""

from __future__ import annotations

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

FRAME_BYTES_MAX = 16 * 1024 * 1024


class Refused(Exception):
    """It was not let in; the message is the code, or the system's words."""


async def dial(url: str, token: str) -> ClientConnection:
    """Open a connection and say who we are; what the server says to that is still to be read. Raises Refused."""
    try:
        connection = await connect(
            url, compression=None, max_size=FRAME_BYTES_MAX, open_timeout=None, ping_interval=None
        )
        await connection.send(msgspec.json.encode({"type": "auth", "token": token}).decode())
    except InvalidHandshake as error:
        raise Refused(str(error)) from None
    except (OSError, WebSocketException, EOFError) as error:
        raise Refused(getattr(error, "strerror", None) or str(error) or type(error).__name__) from None
    return connection


async def try_sign_in(url: str, token: str) -> None:
    """Return when the server has said welcome, and leave. Raises Refused."""
    connection = await dial(url, token)
    refusal: str | None = None
    try:
        while True:
            frame = msgspec.json.decode(await connection.recv())
            if frame.get("type") == "welcome":
                return
            refusal = frame.get("code", refusal)
    except ConnectionClosed as closed:
        raise Refused(refusal or close_words(closed)) from None
    except (msgspec.MsgspecError, AttributeError):
        raise Refused("a frame that is not of this protocol") from None
    finally:
        await connection.close()


def close_words(closed: ConnectionClosed) -> str:
    """What to count a lost connection as."""
    return f"closed {closed.rcvd.code}" if closed.rcvd is not None else "connection lost"
