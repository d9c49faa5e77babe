"""Requests to one Tidings server, as the links need them: POST JSON, and read an answer that may not end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from tidings.client.addresses import Address
from tidings.client.transports.proxies import Proxy, open_tunnel, proxy_for
from tidings.http1 import HTTP_FAULTS, BadAnswer, Response, Wire

__all__ = ["HTTP_FAULTS", "BadAnswer", "HttpClient", "Response"]

IDLE_MAX = 2  # connections that are kept for the next request


class HttpClient:
    """Requests to one server."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: list[Wire] = []
        self._context: ssl.SSLContext | None = None

    def post(
        self, name: str, body: Mapping[str, Any], token: str | None, *, query: str = ""
    ) -> AbstractAsyncContextManager[Response]:
        """POST JSON; as ``request``."""
        return self.request("POST", name, msgspec.json.encode(body), token, query=query)

    @asynccontextmanager
    async def request(
        self, method: str, name: str, content: bytes, token: str | None, *, query: str = ""
    ) -> AsyncIterator[Response]:
        """Ask ``/realtime/<name>``, with JSON; the response is there until the end of the block.

        Raises one of HTTP_FAULTS where there is no answer. Redirects are not followed: a token is for one server.
        """
        target = self._address.target(name, query)
        headers = {
            "Host": self._address.authority,
            "User-Agent": "tidings",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
        }
        authorization = self._address.basic if token is None else f"Bearer {token}"
        if authorization is not None:
            headers["Authorization"] = authorization
        wire, kept = await self._take()
        finished = False
        try:
            try:
                response = await wire.ask(method, target, headers, content)
            except HTTP_FAULTS:
                if not kept or wire.heard:
                    raise
                # Closed by the server while nobody asked: it has not seen this request.
                await wire.abort()
                wire = await self._open()
                response = await wire.ask(method, target, headers, content)
            yield response
            finished = wire.renew()
        finally:
            if finished and len(self._idle) < IDLE_MAX:
                self._idle.append(wire)
            else:
                await wire.abort()

    async def close(self) -> None:
        """Close what is kept."""
        while self._idle:
            await self._idle.pop().abort()

    async def _take(self) -> tuple[Wire, bool]:
        while self._idle:
            wire = self._idle.pop()
            if wire.usable:
                return wire, True
            await wire.abort()
        return await self._open(), False

    async def _open(self) -> Wire:
        address = self._address
        proxy = proxy_for(address)
        if proxy is not None:
            return Wire(*await self._through(proxy))
        return Wire(*await asyncio.open_connection(address.host, address.port_number, ssl=self._tls()))

    async def _through(self, proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await open_tunnel(proxy, self._address)
        context = self._tls()
        if context is not None:
            try:
                await writer.start_tls(context, server_hostname=self._address.host)
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer

    def _tls(self) -> ssl.SSLContext | None:
        if self._address.secure and self._context is None:
            self._context = ssl.create_default_context()
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context
