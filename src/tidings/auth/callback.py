"""Signing in by a function of the application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import jwt
from starlette.exceptions import HTTPException

from tidings.auth.calling import call
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.ports import Credentials

AuthenticateFunction = Callable[[Credentials], "Identity | Awaitable[Identity | None] | None"]

_log = logging.getLogger("tidings.auth")


class CallbackAuthenticator:
    """Asks ``authenticate(credentials)`` (``tidings.ports.Authenticator``).

    :param authenticate: gives the Identity, or None for credentials that it does not take. A plain function
        runs in a worker thread, an ``async def`` on the event loop.

    What it raises: a PeerError is a refusal with its sentence; so are PyJWT's errors and HTTPException 401
    or 403, for sign-in code that serves HTTP too raises them, and their text is not passed on. Anything else
    is a fault of the server: it is logged, and the client is told ``internal`` and nothing more.
    """

    def __init__(self, authenticate: AuthenticateFunction) -> None:
        self._authenticate = authenticate

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Say who this is. Raises PeerError ``unauthorized`` or ``internal``."""
        try:
            identity = await call(self._authenticate, credentials)
        except PeerError as fault:
            raise PeerError(ErrorCode.UNAUTHORIZED, fault.message) from None
        except jwt.InvalidTokenError:
            raise PeerError(ErrorCode.UNAUTHORIZED) from None
        except HTTPException as error:
            if error.status_code in (401, 403):
                raise PeerError(ErrorCode.UNAUTHORIZED) from None
            raise self._failed() from error
        except Exception as error:
            raise self._failed() from error
        if identity is None:
            raise PeerError(ErrorCode.UNAUTHORIZED)
        if not isinstance(identity, Identity):
            _log.error("authenticate must return an Identity or None; it returned %s", type(identity).__name__)
            raise PeerError(ErrorCode.INTERNAL)
        return identity

    def _failed(self) -> PeerError:
        _log.exception("authenticate raised")
        return PeerError(ErrorCode.INTERNAL)
