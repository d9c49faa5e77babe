"""Who a test's client is: by the application's own authenticator, or, where the test asks for it, by its word."""

from __future__ import annotations

from itertools import count

from tidings.core.identity import Identity
from tidings.ports import Authenticator, Credentials


class VouchingAuthenticator:
    """Knows the identities that a test vouches for, and asks ``inner`` about every other token."""

    def __init__(self, inner: Authenticator) -> None:
        self._inner = inner
        self._vouched: dict[str, Identity] = {}
        self._numbers = count(1)

    def vouch(self, identity: Identity) -> str:
        """A token for this identity, good for this connection alone."""
        token = f"vouched for by the test, {next(self._numbers)}"
        self._vouched[token] = identity
        return token

    async def authenticate(self, credentials: Credentials) -> Identity:
        """Say who this is. Raises PeerError where the application's authenticator does."""
        known = self._vouched.get(credentials.token)
        return known if known is not None else await self._inner.authenticate(credentials)
