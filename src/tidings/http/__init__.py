"""The HTTP surface for other servers: publish, cursor, disconnect, token; and the two probes.

What may enter: endpoints that read JSON and an API key, and ask the :class:`Backend`. What may not: the way
of an event, which is the engine's; subscriptions, which are the transports'.
"""

from tidings.http.elsewhere import any_other_address, other_methods
from tidings.http.exposing import ExposingMiddleware, add_cursor
from tidings.http.routes import routes
from tidings.http.surface import Backend

__all__ = ["Backend", "ExposingMiddleware", "add_cursor", "any_other_address", "other_methods", "routes"]
