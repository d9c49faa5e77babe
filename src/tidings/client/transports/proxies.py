"""The way out of a network that has one: the proxy of the environment, as for WebSocket."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import h11

from tidings.client.addresses import Address

READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    :ivar authorization: for the header ``Proxy-Authorization``.
    """

    host: str
    port: int
    authorization: str | None


def proxy_for(address: Address) -> Proxy | None:
    """What ``https_proxy``, ``http_proxy``, ``all_proxy`` and ``no_proxy`` (or the system's settings) say.

    Raises ConnectionError for one that is not reached by plain HTTP.
    """
    proxies = getproxies()
    url = proxies.get("https" if address.secure else "http") or proxies.get("all")
    if not url or proxy_bypass(address.authority):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ConnectionError(f"the proxy {parts.scheme}://{parts.hostname} is not one that speaks plain HTTP")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return Proxy(parts.hostname, parts.port or 80, authorization)


async def open_tunnel(proxy: Proxy, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection through the proxy. Raises OSError, or ConnectionError where the proxy refuses."""
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        await _connect(reader, writer, proxy, address)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: Proxy, address: Address) -> None:
    protocol = h11.Connection(h11.CLIENT)
    host = f"[{address.host}]" if ":" in address.host else address.host
    target = f"{host}:{address.port_number}"
    headers = [("Host", target)]
    if proxy.authorization is not None:
        headers.append(("Proxy-Authorization", proxy.authorization))
    request = protocol.send(h11.Request(method="CONNECT", target=target, headers=headers))
    writer.write((request or b"") + (protocol.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(READ_BYTES)
            if not data:
                raise ConnectionError("the proxy closed the connection")
            protocol.receive_data(data)
        elif isinstance(event, h11.Response):
            if not 200 <= event.status_code < 300:
                raise ConnectionError(f"the proxy answered HTTP {event.status_code}")
            return
