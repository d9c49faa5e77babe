"""The doors of the transports: ``ws``, ``sse``, ``poll`` and ``session/{id}`` behind one check.

Origin and credentials are :mod:`.handshake`'s decision; what differs is how it is told: on a WebSocket by a frame
and a close code, over HTTP by a status, with the same codes in the body, and with the headers by which another
origin may read it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from tidings.core.codes import ErrorCode
from tidings.core.errors import BrokerUnavailable, PeerError
from tidings.engine.node import Node
from tidings.ports import Authenticator, Authorizer, Clock
from tidings.settings import Settings
from tidings.transports.handshake import Decision, decide
from tidings.transports.poll import serve_poll
from tidings.transports.poll_rights import RememberedRights
from tidings.transports.sessions import Sessions, UnknownSession
from tidings.transports.sse import serve_stream
from tidings.transports.stopping import StopSignals
from tidings.transports.visit import Visit
from tidings.transports.websocket import serve_websocket

log = logging.getLogger("tidings.doors")

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "authorization, cache-control, content-type, last-event-id, traceparent",
    "Access-Control-Max-Age": "600",
}
_BACK_OFF_SECONDS = "5"

Refusal = Callable[[PeerError], Response]
Serve = Callable[[Visit], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What stands behind the doors.

    :ivar start: connects to the broker, where that has not been done.
    :ivar refusal: a fault as an answer, the same as everywhere over HTTP.
    """

    node: Node
    settings: Settings
    authenticator: Authenticator
    authorizer: Authorizer
    clock: Clock
    start: Callable[[], Awaitable[None]]
    refusal: Refusal


class Doors:
    """The routes, and what is open behind them."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._sessions = Sessions(house.node, house.authenticator)
        self._rights = RememberedRights(house.authorizer, house.clock)
        self._signals = StopSignals()

    def routes(self) -> list[BaseRoute]:
        """One route each, under the prefix."""
        node, sessions = self._house.node, self._sessions
        doors: list[tuple[str, Serve, list[str]]] = [
            ("sse", lambda visit: serve_stream(visit, node, sessions), ["GET", "POST"]),
            ("poll", lambda visit: serve_poll(visit, node, sessions, self._rights), ["GET", "POST"]),
            ("session/{session}", sessions.take_frame, ["POST"]),
        ]
        found: list[BaseRoute] = [WebSocketRoute(f"{self._house.settings.prefix}/ws", _WebSocketDoor(self._house))]
        for path, serve, methods in doors:
            route = Route(f"{self._house.settings.prefix}/{path}", _Door(self, serve), methods=[*methods, "OPTIONS"])
            assert route.methods is not None
            route.methods.discard("HEAD")  # a stream without a body would never end
            found.append(route)
        return found

    def open(self) -> None:
        """The node is started: hear when the process is asked to stop. Doing it twice is doing it once."""
        self._signals.watch(self._sessions.stop)

    def close(self) -> None:
        """The node is closed, and has sent everybody away: let go of the signals."""
        self._signals.release()

    async def enter(self, scope: Scope, receive: Receive, send: Send, serve: Serve) -> None:
        """Serve one request: let it in, or say why not."""
        request = Request(scope, receive)
        send = self._with_farewell(scope, send)
        headers = {"Vary": "Origin"}
        visit: Visit | None = None
        try:
            decision = _decide(request, self._house.settings)
            headers |= _cors(request)
            if request.method == "OPTIONS":
                await Response(status_code=204, headers={**headers, **_PREFLIGHT})(scope, receive, send)
                return
            if decision.credentials is None:
                raise PeerError(
                    ErrorCode.UNAUTHORIZED, "Send a token: Authorization: Bearer TOKEN, a cookie, or ?token=."
                )
            await self._house.start()
            self.open()
            visit = Visit(request, send, decision.credentials, headers)
            await serve(visit)
            return
        except PeerError as told:
            fault = told
        except BrokerUnavailable as error:
            log.warning("%s: the broker did not answer: %s", request.url.path, error)
            fault = PeerError(ErrorCode.UNAVAILABLE)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("%s %s failed", request.method, request.url.path)
            fault = PeerError(ErrorCode.INTERNAL)
        if visit is None or not visit.started:
            await self._refused(fault, headers)(scope, receive, send)

    def _with_farewell(self, scope: Scope, send: Send) -> Send:
        """A client that is sent away must not come back over the same TCP connection: only we hold it."""

        async def sending(message: Message) -> None:
            starts = message["type"] == "http.response.start" and scope["http_version"].startswith("1")
            if starts and self._sessions.stopping:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        return sending

    def _refused(self, fault: PeerError, headers: dict[str, str]) -> Response:
        answer = self._house.refusal(fault)
        answer.headers.update(headers)
        if isinstance(fault, UnknownSession):
            answer.status_code = 404
        if answer.status_code in (429, 503):
            answer.headers.setdefault("Retry-After", _BACK_OFF_SECONDS)
        return answer


class _WebSocketDoor:
    """An ASGI application, for Starlette takes a function for something else."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, which the door lets in before it says why not."""
        await self._house.start()
        settings = self._house.settings
        decision = decide(scope, cookie=settings.cookie, allowed_origins=settings.allowed_origins)
        await serve_websocket(self._house.node, decision, receive, send)


class _Door:
    """An ASGI application, for Starlette takes a function for something else."""

    def __init__(self, doors: Doors, serve: Serve) -> None:
        self._doors = doors
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._doors.enter(scope, receive, send, self._serve)


def _decide(request: Request, settings: Settings) -> Decision:
    """Raise PeerError for a request that may not come in."""
    decision = decide(request.scope, cookie=settings.cookie, allowed_origins=settings.allowed_origins)
    if decision.fault is not None:
        raise decision.fault
    return decision


def _cors(request: Request) -> dict[str, str]:
    """For a page whose origin has been allowed: by its name, never by ``*``, for cookies may come along."""
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "Retry-After",
    }
