"""Protocol pings and pongs are ours on the fast transport: who answers stays, who is silent is closed (R8)."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from websockets.protocol import State

from tests.raw_websocket import Peer, Received, close
from tests.servers import serving
from tests.subscribers import welcomed
from tidings import Identity, Tidings
from tidings.testing import FakeClock
from tidings.transports.websocket_fast import WebSocketProtocol

pytestmark = pytest.mark.usefixtures("both_loops")

PONG_SECONDS = 0.02  # real time for a second of the server's, in which pongs travel


async def test_who_answers_pings_stays_and_who_is_silent_is_closed() -> None:
    clock = FakeClock()
    live, app = Tidings(authenticate=lambda who: Identity(user=who.token), clock=clock), Starlette()
    live.mount(app)
    async with serving(app, ws=WebSocketProtocol) as address, welcomed(address, "ana") as (answering, _):
        async with await Peer.dial(address.port) as silent:
            await silent.opened()
            heard: list[tuple[float, Received]] = []

            async def listen() -> None:
                while (received := await silent.frame()) is not None:
                    heard.append((clock.monotonic(), received))
                    if received.opcode == 8:
                        await silent.send(close(received.close_code or 1000))

            listening = asyncio.ensure_future(listen())
            for _ in range(120):
                clock.advance(1)
                live.node._ticker.run_due()
                await asyncio.sleep(PONG_SECONDS)
            await asyncio.wait_for(listening, 5)
        told = [(round(at), frame.opcode, frame.close_code) for at, frame in heard[1:]]
        assert [(opcode, code) for _, opcode, code in told] == [(1, None), (9, None), (1, None), (9, None), (8, 4408)]
        assert all(25 <= at <= 28 for at, *_ in told[:2]), "a word and a ping after 25 s of silence"
        assert 60 <= told[-1][0] <= 75
        assert answering.state is State.OPEN, "its library answers pings, and that is all it does"
