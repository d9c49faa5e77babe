"""A middlebox that lets a WebSocket open and cuts it soon: the client leaves it for the next transport."""

from __future__ import annotations

from tests.clients.python_rig import LIST, Reader, Writer, server, subscribed, token, until
from tests.faults.proxy import fault_proxy
from tidings.client import Status, connect

WEBSOCKET = "/realtime/ws"


async def test_websockets_that_live_for_half_a_second_are_a_stream_after_the_third_and_nothing_is_lost() -> None:
    async with server() as (tidings, _, port), fault_proxy(port) as proxy:
        proxy.set(WEBSOCKET, lifetime_seconds=0.5, cut_how="rst")
        async with connect(proxy.http, token=token()) as live:
            seen: list[Status] = []
            live.on_status(seen.append)
            reader = Reader(live, LIST)
            await subscribed(live)
            assert live.status.transport == "websocket"
            writer = Writer(tidings)
            await until(lambda: live.status.transport == "sse")
            assert proxy.requests[WEBSOCKET] == 3
            count = len(reader.events)
            await until(lambda: len(reader.events) > count + 50)
            assert proxy.requests[WEBSOCKET] == 3, "SSE holds, and nobody hurries back"
            published = await writer.stop()
            assert await reader.until(len(published)) == published
            assert reader.gaps == []
            assert [status.transport for status in seen if status.state == "live"].count("websocket") >= 3


async def test_cuts_and_a_server_that_was_down_end_on_websocket() -> None:
    async with server() as (_, _, port), fault_proxy(port) as proxy:
        async with connect(proxy.http, token=token()) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
            for _ in range(2):
                proxy.cut(how="rst")
                await until(lambda: live.status.state != "live")
                await until(lambda: live.status.state == "live")
                assert live.status.transport == "websocket"
            proxy.accepting = False
            proxy.cut(how="rst")
            await until(lambda: live.status.refetching)
            proxy.heal()
            await until(lambda: live.status.transport == "websocket", 30)
            assert reader.gaps == []
