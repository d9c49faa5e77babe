"""One connection through the proxy: the client's socket, the server's, and a flow each way."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol, cast

from tests.faults.conditions import Conditions, End
from tests.faults.flow import Flow
from tests.faults.heads import Head, Requests

_LINGER_0 = struct.pack("ii", 1, 0)  # close() then sends RST
_PAGE = b"<!doctype html><title>Sign in</title><h1>Sign in to use this network</h1>"


class Network(Protocol):
    """What a connection asks of the proxy that it goes through."""

    @property
    def upstream_port(self) -> int: ...

    def conditions(self, path: str) -> Conditions: ...

    def requested(self, path: str) -> None: ...

    def ate(self, path: str) -> None: ...

    def opened(self, link: Link) -> None: ...

    def closed(self, link: Link) -> None: ...


class _Side(asyncio.Protocol):
    """One of the two sockets."""

    def __init__(self, sends: Flow, receives: Flow) -> None:
        self._sends, self._receives = sends, receives
        self.transport: asyncio.Transport | None = None
        self.made: Callable[[], None] = lambda: None
        self.lost: Callable[[], None] = lambda: None
        self.is_lost = False
        self.has_ended = False  # it sends no more

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.made()

    def data_received(self, data: bytes) -> None:
        self._sends.take(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        self._sends.take("fin")
        return True  # what the other end says still arrives

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = self.has_ended = True
        if exc is not None:  # the peer reset it; its orderly end was told by eof_received
            self._sends.take("rst")
        self.lost()

    def pause_writing(self) -> None:
        self._receives.set_open(False)

    def resume_writing(self) -> None:
        self._receives.set_open(True)

    def hold_back(self, held: bool) -> None:
        if self.transport is not None and not self.transport.is_closing():
            (self.transport.pause_reading if held else self.transport.resume_reading)()

    def end(self, how: End) -> None:
        """Close it, after what was written; or reset it."""
        if self.transport is None or self.is_lost:
            return
        if how == "rst":
            made: socket.socket = self.transport.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            self.transport.abort()
        else:
            self.transport.close()


class _Up:
    """What leaves the upward flow reaches the proxy's judgement, then the server."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def pass_on(self, data: bytes) -> None:
        self._link.from_client(data)

    def end(self, how: End) -> None:
        self._link.client_ended(how)

    def hold_back(self, held: bool) -> None:
        self._link.client.hold_back(held)


class _Down:
    """What leaves the downward flow reaches the client."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def pass_on(self, data: bytes) -> None:
        self._link.from_server(data)

    def end(self, how: End) -> None:
        self._link.server_ended(how)

    def hold_back(self, held: bool) -> None:
        self._link.server.hold_back(held)


class Link:
    """An open connection; ``path`` is that of its last request, "" before the first."""

    def __init__(self, network: Network, *, http: bool) -> None:
        self._network, self._http = network, http
        self._loop = asyncio.get_running_loop()
        self.path = ""
        self.down_bytes = 0
        self.begun_at = self.heard_at = self._loop.time()
        self.up = Flow("up", _Up(self), self.conditions)
        self.down = Flow("down", _Down(self), self.conditions)
        self.client = _Side(self.up, self.down)
        self.server = _Side(self.down, self.up)
        self.client.made, self.client.lost, self.server.lost = self._made, self._lost, self._lost
        self._requests = Requests()
        self._unsent: list[bytes] = []
        self._client_ended = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._dial: asyncio.Task[None] | None = None
        self._cut_from = 0  # of down_bytes

    def conditions(self) -> Conditions:
        return self._network.conditions(self.path)

    @property
    def closed(self) -> bool:
        """Both sockets are gone."""
        return self.client.is_lost and (self.server.transport is None or self.server.is_lost)

    def cut(self, how: End = "fin") -> None:
        """End it now, on both sides; "silent" leaves both sockets open and dead."""
        if how == "silent":
            self.up.die()
            self.down.die()
            return
        self.client.end(how)
        self.server.end(how)
        if self._dial is not None:
            self._dial.cancel()

    def changed(self, old: Conditions, new: Conditions) -> None:
        """The conditions of this path are others now."""
        if old.cut_after_bytes != new.cut_after_bytes:
            self._cut_from = self.down_bytes
        if self._held and (new.hold_bytes is None or self._held_bytes >= new.hold_bytes):
            self._release()
        self.up.pump()
        self.down.pump()
        if self._unsent:
            self._flush()

    def tick(self, now: float) -> None:
        """What falls due by the clock."""
        conditions = self.conditions()
        if conditions.idle_seconds is not None and now - self.heard_at >= conditions.idle_seconds:
            self.cut("silent")
        if conditions.lifetime_seconds is not None and now - self.begun_at >= conditions.lifetime_seconds:
            self.cut(conditions.cut_how)

    # From the client, through the upward flow.

    def from_client(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if not self._http:
            self._to_server(data)
            return
        for piece in self._requests.feed(data):
            if self.client.is_lost or (self.client.transport is not None and self.client.transport.is_closing()):
                return
            if isinstance(piece, Head):
                self._judge(piece)
            else:
                self._to_server(piece)

    def client_ended(self, how: End) -> None:
        self._client_ended = True
        if how == "rst" or (self._dial is None and not self._unsent):
            self.cut(how)
        else:
            self._flush()

    def _judge(self, head: Head) -> None:
        self.path = head.path
        self._network.requested(head.path)
        conditions = self.conditions()
        if conditions.reset:
            self.cut("rst")
        elif conditions.answer is not None:
            self._answer(conditions.answer)
        elif head.upgrades and conditions.refuse_upgrade is not None:
            self._answer(conditions.refuse_upgrade)
        elif head.upgrades and conditions.strip_upgrade:
            self._to_server(head.stripped())
        elif not head.upgrades and conditions.hold_bytes is not None:
            self._to_server(head.closing())  # so that its end is known
        else:
            self._to_server(head.raw)

    def _answer(self, status: int) -> None:
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        head = b"Content-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(_PAGE)
        self.down.take(line + head + _PAGE)
        self.down.take("fin")

    def _to_server(self, data: bytes) -> None:
        self._unsent.append(data)
        self._flush()

    def _flush(self) -> None:
        conditions = self.conditions()
        if conditions.drops("up"):
            self._unsent.clear()
            self.up.die()
        if conditions.stalls("up") or self.up.dead:  # of a path that was not known when the bytes came
            return
        transport = self.server.transport
        if transport is None:
            if self._dial is None:
                self._dial = self._loop.create_task(self._connect())
        elif not self.server.is_lost and not transport.is_closing():
            for data in self._unsent:
                transport.write(data)
            self._unsent.clear()
            if self._client_ended and transport.can_write_eof():
                transport.write_eof()

    async def _connect(self) -> None:
        try:
            await self._loop.create_connection(lambda: self.server, "127.0.0.1", self._network.upstream_port)
        except OSError:
            status = self.conditions().answer_when_down
            if status is None or not self._http:
                self.cut("rst")
            else:
                self._answer(status)
            return
        self._flush()

    # From the server, through the downward flow.

    def from_server(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        conditions = self.conditions()
        if conditions.eat_replies:
            self._network.ate(self.path)
            self.cut("rst")
        elif conditions.hold_bytes is not None:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes >= conditions.hold_bytes:
                self._release()
        else:
            self._to_client(data)

    def server_ended(self, how: End) -> None:
        if how != "rst":
            self._release()
        self.cut(how)

    def _release(self) -> None:
        held, self._held, self._held_bytes = b"".join(self._held), [], 0
        if held:
            self._to_client(held)

    def _to_client(self, data: bytes) -> None:
        if self.client.transport is None or self.client.is_lost:
            return
        conditions = self.conditions()
        if conditions.cut_after_bytes is not None:
            left = conditions.cut_after_bytes - (self.down_bytes - self._cut_from)
            if left <= len(data):
                self.down_bytes += max(left, 0)
                self.client.transport.write(data[: max(left, 0)])
                self.cut(conditions.cut_how)
                return
        self.down_bytes += len(data)
        self.client.transport.write(data)

    # Sockets that come and go.

    def _made(self) -> None:
        self._network.opened(self)
        if not self._http:
            self._dial = self._loop.create_task(self._connect())

    def _lost(self) -> None:
        if self.closed:
            self.up.die()
            self.down.die()
            self._network.closed(self)
