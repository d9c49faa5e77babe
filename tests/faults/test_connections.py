"""What networks do to open connections: cuts, silence, patience that ends. Both clients, each transport, a real server.

The rows F02 to F37 are those of ``rows.py``.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.proxy import FaultProxy, fault_proxy
from tests.faults.serve import server
from tests.faults.watch import POLL, SSE, WEBSOCKET, Watch, watching

SOCKET, STREAM, POLLS = "/realtime/ws", "/realtime/sse", "/realtime/poll"
CLOSING_SECONDS_MAX = 10  # the server's closing handshake, which nobody answers
FAST = {"limit_heartbeat_seconds": "1", "limit_silence_seconds": "3"}


async def pass_time(seconds: float, watch: Watch, *, ready: int | None = None) -> None:
    """Let real time pass, for what networks do with it, and see that as many clients stay live."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = await watch.progress()
        assert ready is None or now.ready == ready, now
        await asyncio.sleep(0.5)


async def test_f02_cut_in_the_midst_of_a_frame(tmp_path: Path) -> None:
    """The half frame counts for nothing: no repeat, no gap."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        for cut_after_bytes in (1, 3, 40, 90, 150):
            await watch.ready()
            proxy.set(cut_after_bytes=cut_after_bytes)
            await watch.publish(one.http)
            await proxy.until(lambda: not proxy.links(SOCKET) and not proxy.links(STREAM))
            proxy.heal()
            await watch.publish(one.http, 3)
            await watch.hurry()
        await watch.check_whole()


async def test_f23_the_server_notices_a_peer_that_is_gone(tmp_path: Path) -> None:
    async with server(tmp_path, **FAST) as one, fault_proxy(one.port) as proxy:
        async with watching(proxy, tmp_path, ladders=[WEBSOCKET]) as watch:
            gone = proxy.links(SOCKET)
            assert len(gone) == watch.count
            proxy.cut(SOCKET, how="silent")
            async with asyncio.timeout(3 + CLOSING_SECONDS_MAX + 2):
                while not all(link.server.has_ended for link in gone):
                    await asyncio.sleep(0.05)


@pytest.mark.nightly
async def test_f23_clients_notice_a_server_that_is_gone(tmp_path: Path) -> None:
    """After the server's heartbeat and ten seconds."""
    async with server(tmp_path, **FAST) as one, fault_proxy(one.port) as proxy:
        async with watching(proxy, tmp_path, ladders=[WEBSOCKET]) as watch:
            await watch.publish(one.http)
            await watch.whole()
            proxy.cut(how="silent")
            await watch.publish(one.http)
            await watch.check_whole(within_seconds=20)


@pytest.mark.nightly
async def test_f23_clients_notice_on_every_transport_with_the_default_heartbeat(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        await watch.publish(one.http)
        await watch.whole()
        proxy.cut(how="silent")
        await watch.publish(one.http)
        await watch.check_whole(within_seconds=60)


@pytest.mark.nightly
async def test_f25_an_idle_websocket_says_something_in_time(tmp_path: Path) -> None:
    """In little: a heartbeat of 1 s, and a network that forgets after 2.5 s."""
    async with server(tmp_path, **FAST) as one, fault_proxy(one.port) as proxy:
        async with watching(proxy, tmp_path, ladders=[WEBSOCKET, POLL]) as watch:
            await check_it_outlives(proxy, watch, one.http, idle_seconds=2.5, wait_seconds=6)


@pytest.mark.nightly
async def test_f25_f27_f28_f29_no_connection_is_silent_for_30_seconds(tmp_path: Path) -> None:
    """The defaults, and the shortest patience that is known."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        await check_it_outlives(proxy, watch, one.http, idle_seconds=30, wait_seconds=80)


async def check_it_outlives(
    proxy: FaultProxy, watch: Watch, url: str, *, idle_seconds: float, wait_seconds: float
) -> None:
    """Nothing is lost to the network's patience while nothing happens, and the next event comes at once."""
    await watch.publish(url)
    await watch.whole()
    dials = proxy.requests[SOCKET] + proxy.requests[STREAM]
    proxy.set(idle_seconds=idle_seconds)
    await pass_time(wait_seconds, watch, ready=watch.count)
    assert not any(link.up.dead or link.down.dead for link in [*proxy.links(SOCKET), *proxy.links(STREAM)])
    await watch.publish(url)
    await watch.check_whole(within_seconds=5)
    assert proxy.requests[SOCKET] + proxy.requests[STREAM] == dials


async def test_f30_a_lifetime_costs_a_resume_and_nothing_else(tmp_path: Path) -> None:
    """Every connection ends after 2 s, busy or not; the load balancer's 30 s in little."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        proxy.set(lifetime_seconds=2)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            await watch.publish(one.http)
            await asyncio.sleep(0.05)
        assert proxy.requests[SOCKET] >= 4 and proxy.requests[STREAM] >= 4
        proxy.heal()
        await watch.hurry()
        await watch.check_whole()


async def test_one_direction_of_a_stall_and_back(tmp_path: Path) -> None:
    """What waits in the network for a moment arrives whole, without a reconnect."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        async with watching(proxy, tmp_path, ladders=[WEBSOCKET, SSE]) as watch:
            dials = proxy.accepted
            for stall in ("down", "up", "both"):
                proxy.set(stall=stall)
                await watch.publish(one.http, 5)
                await pass_time(0.5, watch, ready=watch.count)
                proxy.heal()
                await watch.whole()
            assert proxy.accepted == dials
            await watch.check_whole()


@pytest.mark.nightly
async def test_a_slow_network_only_delays(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy, watching(proxy, tmp_path) as watch:
        proxy.set(latency_seconds=0.05, bytes_per_second=4_000)
        await watch.publish(one.http, 30)
        await watch.check_whole()
