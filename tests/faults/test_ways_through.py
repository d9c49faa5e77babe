"""What proxies do to the way in: an upgrade stripped, streams kept back, a portal that answers all. Both clients."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from tests.faults.proxy import fault_proxy
from tests.faults.serve import server
from tests.faults.watch import LADDER, watching
from tests.nginx import behind_nginx
from tests.servers import Address


async def test_f36_nginx_as_it_comes_strips_the_upgrade(tmp_path: Path) -> None:
    """The next transport carries the events, and nothing is missed."""
    async with server(tmp_path) as one, behind_nginx(one.port, tmp_path) as url:
        place = Address(int(url.rpartition(":")[2]))
        async with watching(place, tmp_path, ladders=[LADDER]) as watch:
            await watch.carried_by("sse")
            await watch.publish(one.http, 10)
            await watch.check_whole()


async def test_f32_nginx_that_buffers_and_does_not_hear_our_header(tmp_path: Path) -> None:
    """Its buffers pass on what has come, so streams work all the same."""
    ignoring = "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on; proxy_buffers 8 64k; proxy_buffer_size 64k;"
    async with server(tmp_path) as one, behind_nginx(one.port, tmp_path, ignoring) as url:
        place = Address(int(url.rpartition(":")[2]))
        async with watching(place, tmp_path, ladders=[("sse",)]) as watch:
            for _ in range(5):
                await watch.publish(one.http)
                await watch.whole(within_seconds=5)
            await watch.check_whole()


async def test_f32_streams_that_are_kept_back_leave_polls(tmp_path: Path) -> None:
    """No welcome comes in 5 s."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        proxy.set("/realtime/sse", hold_bytes=math.inf)
        async with watching(proxy, tmp_path, ladders=[("sse", "poll")]) as watch:
            await watch.carried_by("poll")
            await watch.publish(one.http, 10)
            await watch.check_whole()


@pytest.mark.nightly
@pytest.mark.parametrize("status", [200, 400, 403, 426])
async def test_f36_an_upgrade_that_is_refused_and_later_is_not(status: int, tmp_path: Path) -> None:
    """Down to streams at once; up again within the quarter of a minute, without a gap."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        proxy.set(refuse_upgrade=status)
        async with watching(proxy, tmp_path, ladders=[LADDER]) as watch:
            await watch.carried_by("sse")
            await watch.publish(one.http, 10)
            proxy.heal()
            for _ in range(20):
                await watch.publish(one.http)
                await asyncio.sleep(0.2)
            await watch.carried_by("websocket", within_seconds=30)
            await watch.publish(one.http, 10)
            await watch.check_whole()


@pytest.mark.nightly
async def test_f32_streams_kept_back_for_ever_and_then_let_through(tmp_path: Path) -> None:
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        proxy.set(refuse_upgrade=400)
        proxy.set("/realtime/sse", hold_bytes=math.inf)
        async with watching(proxy, tmp_path, ladders=[LADDER]) as watch:
            await watch.carried_by("poll")
            await watch.publish(one.http, 5)
            proxy.heal()
            await watch.carried_by("websocket", within_seconds=60)
            await watch.publish(one.http, 5)
            await watch.check_whole()


@pytest.mark.parametrize("status", [200, 302])
async def test_f37_a_captive_portal_is_no_connection(status: int, tmp_path: Path) -> None:
    """Never live, no event, no end: once the person has signed in, all is there."""
    async with server(tmp_path) as one, fault_proxy(one.port) as proxy:
        proxy.set(answer=status)
        async with watching(proxy, tmp_path, wait=False) as watch:
            await proxy.until(lambda: all(proxy.requests[f"/realtime/{path}"] >= 4 for path in ("ws", "sse", "poll")))
            now = await watch.down()
            assert not set(now.transports) & {"failed", "blocked", "closed"}, now
            proxy.heal()
            await watch.hurry()
            await watch.ready()
            await watch.publish(one.http, 5)
            await watch.check_whole()
