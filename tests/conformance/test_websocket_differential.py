"""Hostile handshakes and frames, the same to both transports: they must answer alike (C19).

The plain transport stands on uvicorn's own WebSocket, whose parser is not ours; all that differs is named here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette

from tests.hostile_websocket import CONVERSATIONS, HANDSHAKES, TOKENLESS, Conversation
from tests.raw_websocket import Peer, close, text
from tests.servers import serving
from tidings import Identity, Limits, Settings, Tidings
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.ports import Credentials
from tidings.transports.guarded_http import GuardedHttpProtocol
from tidings.transports.websocket_fast import WebSocketProtocol

Answer = tuple[Any, ...]
SILENCE_SECONDS = 5.0  # to some of it uvicorn's HTTP parser says nothing, for it waits for more


async def authenticate(credentials: Credentials) -> Identity:
    """What the handshake found stands in the user's name, so that ``welcome`` tells it."""
    if credentials.token == "bad":
        raise PeerError(ErrorCode.UNAUTHORIZED, "The token is not good.")
    address = "" if credentials.client_address in (None, "127.0.0.1") else f" at {credentials.client_address}"
    return Identity(user=f"{credentials.token} by {credentials.source.value}{address}")


def application() -> Starlette:
    settings = Settings(
        cookie="session", allowed_origins=("https://app.example.com", "http://LOCALHOST:3000"),
        limits=Limits(frame_bytes_before_auth=100, frame_bytes=2_000, payload_bytes=1_000, bad_frames_per_minute=3,
                      connections_per_user=0),
    )  # fmt: skip
    live = Tidings(authenticate=authenticate, authorize={"gift-list:{list_id}": True}, settings=settings)
    app = Starlette()
    live.mount(app)
    return app


FAST: dict[str, dict[str, object]] = {
    "fast": {"ws": WebSocketProtocol},
    "fast, behind the guarded HTTP": {"ws": WebSocketProtocol, "http": GuardedHttpProtocol},
}


@pytest.fixture(params=list(FAST))
async def ports(request: pytest.FixtureRequest) -> AsyncIterator[tuple[int, int]]:
    """The ports of the plain transport and of a fast one."""
    async with serving(application(), ws_max_size=2_000) as plain:
        async with serving(application(), ws_max_size=2_000, **FAST[request.param]) as fast:
            yield plain.port, fast.port


async def answer_to_handshake(port: int, data: bytes) -> Answer:
    """Refused with a status, closed with a code, or welcome as somebody."""
    async with await Peer.dial(port) as peer:
        await peer.send(data)
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                return await _opening(peer)
        except TimeoutError:
            return ("silent",)


async def _opening(peer: Peer) -> Answer:
    status = await peer.status()
    if status != 101:
        return ("refused", None if status is None else status // 100)
    assert b"permessage" not in peer.head.lower(), "no extension is ever agreed on"
    first = await peer.frame()
    assert first is not None
    await peer.send(close())
    rest = await peer.frames()
    if first.opcode == 8:
        return ("closed", first.close_code)
    told = first.json
    codes = [received.close_code for received in rest if received.opcode == 8]
    return (told["type"], told.get("user"), told.get("code"), codes)


def _shown(differences: dict[str, Any]) -> str:
    return "\n".join(f"{name}\n  plain: {plain}\n  fast:  {fast}" for name, (plain, fast) in differences.items())


async def test_the_same_handshakes_get_the_same_answers(ports: tuple[int, int]) -> None:
    plain, fast = ports
    answers = await asyncio.gather(*(
        answer_to_handshake(port, data) for data in HANDSHAKES.values() for port in (plain, fast)
    ))  # fmt: skip
    pairs = dict(zip(HANDSHAKES, zip(answers[::2], answers[1::2], strict=True), strict=True))
    # A refusal is better than silence, into which the plain one falls where its parser raises.
    better = (("silent",), ("refused", 4))
    differences = {name: pair for name, pair in pairs.items() if pair[0] != pair[1] and pair != better}
    assert not differences, _shown(differences)


async def test_handshakes_that_tell_something_are_among_them(ports: tuple[int, int]) -> None:
    """That both answer alike would mean little, were all of them refused."""
    _, fast = ports
    expected: dict[str, Answer] = {
        "good": ("welcome", "ana by query", None, [1000]),
        "a bad token": ("error", None, "unauthorized", [4401]),
        "through proxies": ("welcome", "ana by query at 203.0.113.9", None, [1000]),
        "a bearer": ("welcome", "ana by header", None, [1000]),
        "TLS at the proxy": ("welcome", "ana by cookie", None, [1000]),
        "the origin null": ("error", None, "origin_forbidden", [4403]),
        "the origin http://HOST": ("welcome", "ana by cookie", None, [1000]),
        "the target /realtime/%77s?token=ana": ("welcome", "ana by query", None, [1000]),
        "the target http://HOST/realtime/ws?token=ana": ("refused", 4),
        "an old version": ("refused", 4),
        "many headers": ("refused", 4),
    }
    found = {name: await answer_to_handshake(fast, HANDSHAKES[name]) for name in expected}
    assert found == expected


async def answers_to(port: int, talk: Conversation, pieces_of: int) -> list[Answer]:
    """What the server says, in order: types and codes, pongs, and how it closed."""
    async with await Peer.dial(port) as peer:
        await peer.opened(talk.target)
        said: list[Answer] = []
        if talk.target != TOKENLESS:
            welcome = await peer.frame()
            assert welcome is not None and welcome.json["type"] == "welcome"
        for piece in talk.pieces:
            await peer.send(piece, pieces_of=pieces_of)
        if not talk.ends:
            await peer.send(text({"type": "ping", "id": "last"}))
        for received in await _until_the_end(peer, talk):
            if received.opcode == 1:
                told = received.json
                shown = {name: told[name] for name in ("type", "code", "id", "user") if name in told}
                said.append(("told", json.dumps(shown)))
            elif received.opcode == 8:
                said.append(("closed", received.close_code))
            else:
                said.append((received.opcode, received.payload))
        return said


async def _until_the_end(peer: Peer, talk: Conversation) -> list[Any]:
    found = []
    while (received := await peer.frame()) is not None:
        found.append(received)
        if received.opcode == 1 and received.json.get("id") == "last":
            await peer.send(close())
        elif received.opcode == 8:
            await peer.send(close(received.close_code or 1000))
    return found


def _alike(plain: list[Answer], fast: list[Answer]) -> bool:
    if plain == fast:
        return True
    # The plain one resets the connection where more comes than it wants to read, and its close frame is lost.
    lost = fast == [*plain, ("closed", 1002)] or fast == [*plain, ("closed", 1009)]
    # A length with its top bit is none (5.2); the plain one takes it for one that is too large.
    return lost or (plain, fast) == ([("closed", 1009)], [("closed", 1002)])


@pytest.mark.parametrize("pieces_of", [0, 1, 3])
async def test_the_same_frames_get_the_same_answers(ports: tuple[int, int], pieces_of: int) -> None:
    plain, fast = ports
    names = list(CONVERSATIONS)
    answers = await asyncio.gather(*(
        answers_to(port, CONVERSATIONS[name], pieces_of) for name in names for port in (plain, fast)
    ))  # fmt: skip
    pairs = dict(zip(names, zip(answers[::2], answers[1::2], strict=True), strict=True))
    differences = {name: pair for name, pair in pairs.items() if not _alike(*pair)}
    assert not differences, _shown(differences)
    assert pairs["a protocol ping"][1] == [
        (10, b"abc"),
        ("told", '{"type": "pong", "id": "last"}'),
        ("closed", 1000),
    ]
    assert pairs["not masked"][1] == [("closed", 1002)]
