"""The probes of an orchestrator: does the process live, and does it take connections?"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tidings.http.answers import json_answer
from tidings.http.surface import Surface


async def healthz(request: Request, surface: Surface) -> Response:
    """200 as long as the event loop turns."""
    return json_answer({"status": "ok"})


async def readyz(request: Request, surface: Surface) -> Response:
    """200 when the server takes connections, 503 before and after."""
    ready = surface.backend.ready()
    return json_answer({"status": "ready" if ready else "not ready"}, 200 if ready else 503)
