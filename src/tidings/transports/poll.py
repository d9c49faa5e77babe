"""Long-poll: topics and positions in, frames out, and nothing kept in between.

Each request is a session of its own, on the same feeds as all others: it ends with the answer, and what comes
after the answer is found by the positions of the next request.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tidings.core.codes import ErrorCode, UnrecoveredReason
from tidings.core.errors import PeerError
from tidings.core.frames import Error, Pong, Subscribed, Welcome, decode_server_frame
from tidings.core.framing import Framed
from tidings.core.limits import Limits, exceeds
from tidings.core.topics import SYSTEM_TOPIC, is_wildcard
from tidings.engine.node import Node
from tidings.ports import Authorizer
from tidings.transports.admission import Admission
from tidings.transports.asked import Asked, asked_of_poll
from tidings.transports.sessions import Sessions
from tidings.transports.visit import Visit

HOLD_SECONDS = 25.0  # below the 30 s after which the shortest proxies give up (F29)
GATHER_SECONDS = 0.01  # what one change causes is published within a moment, and should leave in one answer


class PollSink:
    """Collects the frames of one answer.

    :ivar ready: the answer is worth sending: something is newer, was refused, does not recover, or ended.
    """

    sees_pongs = False

    def __init__(self, answer_bytes_max: int) -> None:
        self.pushed_count = 0
        self.frames: list[bytes] = []
        self.admission = Admission()
        self.ready = asyncio.Event()
        self.answered: Subscribed | None = None
        self.fault: PeerError | None = None  # the last one of the session itself that was told
        self.closed = False
        self._answer_bytes_max = answer_bytes_max
        self._bytes = 0
        self._sealed = False
        self._urgent = False

    def push(self, framed: Framed) -> None:
        """An event for the answer; from the first that does not fit on, all are left to the next request."""
        self.pushed_count += 1
        size_bytes = len(framed.json)
        if self._sealed or (self._bytes and exceeds(self._bytes + size_bytes, self._answer_bytes_max)):
            self._sealed = True
            return
        self._bytes += size_bytes
        self._keep(framed.json)

    def send(self, frame: bytes) -> None:
        """A control frame: `subscribed` says where the topics stand, and most others that the client must act."""
        self.pushed_count += 1
        decoded = decode_server_frame(frame)
        self.admission.look(decoded)
        if isinstance(decoded, Error) and decoded.topic == SYSTEM_TOPIC:
            self.fault = PeerError(ErrorCode(decoded.code), decoded.message)
        if self._sealed or isinstance(decoded, Welcome | Pong):
            return
        if isinstance(decoded, Subscribed) and self.answered is None:
            self.answered = decoded
            self.frames.append(frame)
            if self._urgent or not all(answer.recovered for answer in decoded.topics.values()):
                self.ready.set()
        else:
            self._keep(frame)

    def ping(self) -> None:
        """Nothing: an answer comes in time."""

    def close(self, code: int, reason: str) -> None:
        """The session ends, and the poll with it."""
        self.admission.closed(code)
        self.closed = True
        self.ready.set()

    async def drained(self) -> None:
        """Return at once: what does not fit is not kept."""

    def _keep(self, frame: bytes) -> None:
        self.frames.append(frame)
        self._urgent = True
        if self.answered is not None:
            self.ready.set()


async def serve_poll(visit: Visit, node: Node, sessions: Sessions, authorizer: Authorizer) -> None:
    """Answer one poll: at once, or when something comes, or when it was held long enough. Raises PeerError."""
    hold_until = asyncio.get_running_loop().time() + _hold_seconds(node.limits)
    sink = PollSink(node.limits.backlog_bytes)
    connection = node.connect(sink, authorizer=authorizer)
    try:
        with sessions.open(connection):
            connection.open(visit.credentials, visit.client_address)
            fault = await sink.admission.fault()
            if fault is not None:
                raise fault
            asked = await asked_of_poll(visit.request, node.limits)
            connection.feed(_without_wildcards(asked, sink).frame)
            if not await _wait(visit, sink, hold_until):
                return  # nobody reads the answer
            _check(sink)
            body = b'{"frames":[%b]}' % b",".join(sink.frames)
    finally:
        connection.gone()
    await visit.answer(200, body)


def _hold_seconds(limits: Limits) -> float:
    return min(HOLD_SECONDS, limits.heartbeat_seconds or HOLD_SECONDS)


def _without_wildcards(asked: Asked, sink: PollSink) -> Asked:
    """Tell that wildcards are not to be had, one error each; the other topics go on."""
    for topic in filter(is_wildcard, asked.topics):
        message = f"{topic} has no position, so a poll cannot follow it; use WebSocket or SSE."
        sink.send(Error.of(PeerError(ErrorCode.BAD_TOPIC, message), asked.frame_id, topic).encode())
    return replace(asked, topics=[topic for topic in asked.topics if not is_wildcard(topic)])


async def _wait(visit: Visit, sink: PollSink, hold_until: float) -> bool:
    """Return when the answer is ready, or held long enough; False when the client has gone away."""
    leaving = asyncio.create_task(visit.left())
    leaving.add_done_callback(lambda _: sink.ready.set())
    try:
        async with asyncio.timeout_at(hold_until):
            await sink.ready.wait()
            if not sink.closed:
                await asyncio.sleep(GATHER_SECONDS)
    except TimeoutError:
        pass
    finally:
        leaving.cancel()
    return not leaving.done()


def _check(sink: PollSink) -> None:
    """Raise PeerError where there is no answer to give: a client that came back at once would do so for ever."""
    if sink.answered is None:
        raise (sink.closed and sink.fault) or PeerError(
            ErrorCode.UNAVAILABLE, "The topics could not be looked up in time; come back in a moment."
        )
    if any(answer.reason == UnrecoveredReason.UNAVAILABLE for answer in sink.answered.topics.values()):
        raise PeerError(ErrorCode.UNAVAILABLE)
