"""API keys: which caller may use the HTTP surface, and for which tenant."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds a key. A key that is ``bound`` acts for its tenant alone, another for any."""

    bound: bool
    tenant: str | None = None

    def acts_for(self, named: str | None, path: str) -> str | None:
        """The tenant of a request that names one, or none. Raises PeerError ``forbidden`` for a foreign one."""
        if not self.bound:
            return named
        if named is not None and named != self.tenant:
            raise PeerError(
                ErrorCode.FORBIDDEN, f"{path} names another tenant than the one this API key is bound to.", path=path
            )
        return self.tenant


class ApiKeys:
    """The keys of the settings, each ``KEY`` or ``KEY@TENANT``."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._callers: list[tuple[bytes, Caller]] = []
        for text in keys:
            key, at, tenant = text.partition("@")
            self._callers.append((key.encode(), Caller(bound=bool(at), tenant=tenant or None)))

    def caller(self, authorization: str | None) -> Caller:
        """Who sent ``Authorization: Bearer KEY``. Raises PeerError ``unauthorized``."""
        if not self._callers:
            raise PeerError(ErrorCode.UNAUTHORIZED, "This server has no API key; set TIDINGS_API_KEYS to open this.")
        kind, _, key = (authorization or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise PeerError(ErrorCode.UNAUTHORIZED, "Send the API key in the header Authorization: Bearer KEY.")
        found: Caller | None = None
        shown = key.strip().encode("utf-8", "replace")
        for expected, caller in self._callers:
            # Every key is compared, and each in constant time: how long it takes says nothing of a key (C23).
            if hmac.compare_digest(shown, expected):
                found = caller
        if found is None:
            raise PeerError(ErrorCode.UNAUTHORIZED, "This is not an API key of this server; a user's token is none.")
        return found
