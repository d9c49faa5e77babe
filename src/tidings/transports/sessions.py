"""The sessions over HTTP in this process: found again by their id, and sent away when the process stops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.frames import decode_client_frame
from tidings.engine.connection import Connection
from tidings.engine.node import Node
from tidings.ports import Authenticator
from tidings.transports.asked import read_frame
from tidings.transports.visit import Visit

STOP_SECONDS = 10.0  # so long nobody new is let in: a stream that began now would keep the process from ending
CAUGHT_UP_SECONDS_MAX = 5.0


class UnknownSession(PeerError):
    """No stream of this caller has that id here; answered by 404, whatever the reason."""

    def __init__(self) -> None:
        super().__init__(
            ErrorCode.UNKNOWN_SESSION,
            "No stream of yours has this session here; open a new stream with all your positions.",
        )


class Sessions:
    """What is open: streams, and polls that are held."""

    def __init__(self, node: Node, authenticator: Authenticator) -> None:
        self._node = node
        self._authenticator = authenticator
        self._open: dict[Connection, None] = {}
        self._streams: dict[str, tuple[Connection, asyncio.Lock]] = {}
        self._stopped_at: float | None = None

    @property
    def stopping(self) -> bool:
        """Whether the server goes away: then nobody new is let in, and clients should not reuse a connection."""
        if not self._node.ready:
            return True
        stopped_at = self._stopped_at
        return stopped_at is not None and asyncio.get_running_loop().time() - stopped_at < STOP_SECONDS

    @contextmanager
    def open(self, connection: Connection) -> Iterator[None]:
        """Within this the session is sent away when the process stops. Raises PeerError when it is stopping."""
        if self.stopping:
            raise PeerError(ErrorCode.UNAVAILABLE, "The server is stopping; come back in a moment.")
        self._open[connection] = None
        try:
            yield
        finally:
            del self._open[connection]

    @contextmanager
    def taking_frames(self, connection: Connection) -> Iterator[None]:
        """Within this the session's owner may send frames to its id."""
        self._streams[connection.id] = connection, asyncio.Lock()
        try:
            yield
        finally:
            del self._streams[connection.id]

    def stop(self) -> None:
        """The process was asked to end. An ASGI server may wait for open responses before it says so (F39).

        Everybody is told when to come back, and the responses are ended, unless somebody sees to a drain. WebSockets
        are left to the ASGI server, which closes them now.
        """
        if self._node.drain_expected or not self._node.ready:
            return
        self._stopped_at = asyncio.get_running_loop().time()
        self._node.send_all_back()
        for connection in list(self._open):
            connection.end(CloseCode.SERVICE_RESTART, "the server restarts")

    async def take_frame(self, visit: Visit) -> None:
        """``POST session/{id}``: a frame for a stream, which answers it. Raises PeerError.

        The id is 128 random bits, and good only with credentials of the same user and tenant.
        """
        identity = await self._authenticator.authenticate(visit.credentials)
        connection, turn = self._streams.get(visit.request.path_params["session"], (None, None))
        if connection is None or turn is None:
            raise UnknownSession
        owner = connection.session.identity
        if owner is None or not owner.same_person(identity):
            raise UnknownSession
        async with turn:  # one after the other, and each read only when its turn has come
            text = await read_frame(visit.request, self._node.limits)
            decode_client_frame(text)  # what is no frame is told here; all else is told in the stream
            if connection.session.closed or connection.id not in self._streams:
                raise UnknownSession
            connection.feed(text)
            with suppress(TimeoutError):
                async with asyncio.timeout(CAUGHT_UP_SECONDS_MAX):
                    await connection.caught_up()
        await visit.answer(202, b'{"accepted":true}')
