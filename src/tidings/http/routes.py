"""Where the endpoints stand."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidings.auth.origin import origin_allowed
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.engine.catalog import Catalog
from tidings.http.answers import Endpoint, endpoint
from tidings.http.cursor import cursor
from tidings.http.health import healthz, readyz
from tidings.http.keys import ApiKeys
from tidings.http.operations import disconnect, token
from tidings.http.presence import presence
from tidings.http.publish import publish
from tidings.http.surface import Backend, Surface
from tidings.ports import CredentialSource
from tidings.settings import Settings


def routes(backend: Backend, settings: Settings, catalog: Catalog) -> list[Route]:
    """The HTTP surface under ``settings.prefix``, and the probes beside it."""
    surface = Surface(backend, settings, ApiKeys(settings.api_keys), catalog)
    guarded: list[tuple[str, Endpoint, str]] = [
        ("publish", publish, "POST"),
        ("cursor", cursor, "GET"),
        ("presence", presence, "GET"),
        ("disconnect", disconnect, "POST"),
        ("token", token, "POST"),
    ]
    return [
        *(
            Route(f"{settings.prefix}/{name}", endpoint(_of_known_origin(function), surface), methods=[method])
            for name, function, method in guarded
        ),
        Route("/healthz", endpoint(healthz, surface), methods=["GET"]),
        Route("/readyz", endpoint(readyz, surface), methods=["GET"]),
    ]


def _of_known_origin(function: Endpoint) -> Endpoint:
    """The same check of ``Origin`` as at every other door (C1)."""

    async def checked(request: Request, surface: Surface) -> Response:
        if not origin_allowed(
            request.headers.get("origin"),
            host=request.headers.get("host"),
            scheme=request.scope.get("scheme", "http"),
            allowed=surface.settings.allowed_origins,
            source=CredentialSource.HEADER,
        ):
            raise PeerError(ErrorCode.ORIGIN_FORBIDDEN)
        return await function(request, surface)

    return checked
