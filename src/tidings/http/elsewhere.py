"""Where no endpoint stands: an address that is none, or a method that it does not take. JSON there too."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.http.answers import error_answer

_SHOWN_LENGTH_MAX = 100


def other_methods(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """For each of our HTTP routes one that stands behind it, and answers the methods that it does not take: 405."""
    return [
        Route(route.path, _OtherMethod(sorted(route.methods or ()))) for route in routes if isinstance(route, Route)
    ]


def any_other_address(prefix: str) -> BaseRoute:
    """The last route of a server that has no other application in it: 404."""

    async def nowhere(request: Request) -> Response:
        path = request.url.path[:_SHOWN_LENGTH_MAX]
        message = f"There is nothing at {path}; what there is stands under {prefix}."
        return _answer(message, 404)

    return Route("/{path:path}", nowhere, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


class _OtherMethod:
    """An ASGI application, for Starlette lets a function answer GET alone."""

    def __init__(self, allowed: list[str]) -> None:
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        usable = " or ".join(method for method in self._allowed if method not in ("HEAD", "OPTIONS"))
        message = (
            f"{scope['path'][:_SHOWN_LENGTH_MAX]} does not take {scope['method'][:_SHOWN_LENGTH_MAX]}; use {usable}."
        )
        answer = _answer(message, 405)
        answer.headers["Allow"] = ", ".join(self._allowed)
        await answer(scope, receive, send)


def _answer(message: str, status: int) -> Response:
    """The code of every request that is not of the expected shape, with the status that says more."""
    answer = error_answer(PeerError(ErrorCode.BAD_FRAME, message))
    answer.status_code = status
    return answer
