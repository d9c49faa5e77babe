"""Which connections there are, and whose: for the limit per user (R9) and for ``disconnect``."""

from __future__ import annotations

import asyncio
from typing import Protocol

from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.core.inputs import Input
from tidings.core.limits import Limits, exceeds


class Registered(Protocol):
    """What the registry knows of a connection."""

    @property
    def id(self) -> str:
        """The session's id."""
        ...

    def take(self, input: Input) -> None:
        """Hand it an input."""
        ...

    def end(self, code: CloseCode, reason: str) -> None:
        """End it."""
        ...


class Registry:
    """Connections by session, and by (tenant, user) once that is known.

    :ivar draining: the server goes away, so that who comes now is sent away at once.
    """

    def __init__(self, limits: Limits) -> None:
        self.draining = False
        self._limits = limits
        self._by_session: dict[str, Registered] = {}
        self._emptied: asyncio.Event | None = None
        self._by_user: dict[tuple[str | None, str], dict[Registered, None]] = {}
        self._user_of: dict[Registered, tuple[str | None, str]] = {}

    def add(self, connection: Registered) -> None:
        """A connection whose user is not known yet."""
        self._by_session[connection.id] = connection

    def admit(self, connection: Registered, identity: Identity) -> bool:
        """Count the connection as this user's, unless it is; whether it was not.

        Raises PeerError ``too_many_connections`` with its close code.
        """
        key = (identity.tenant, identity.user)
        if connection in self._user_of:
            return False  # a renewed token: the session decides whether it is the same person
        mine = self._by_user.get(key, {})
        if exceeds(len(mine) + 1, self._limits.connections_per_user):
            raise PeerError(
                ErrorCode.TOO_MANY_CONNECTIONS,
                f"{identity.user} has {len(mine)} connections, and {self._limits.connections_per_user} is the limit; "
                "close one first.",
                close=CloseCode.TOO_MANY_REQUESTS,
            )
        if exceeds(len(self._user_of) + 1, self._limits.connections):
            raise PeerError(
                ErrorCode.TOO_MANY_CONNECTIONS,
                "The server has as many connections as it may; try again later.",
                close=CloseCode.TOO_MANY_REQUESTS,
            )
        self._by_user.setdefault(key, mine)[connection] = None
        self._user_of[connection] = key
        return True

    def remove(self, connection: Registered) -> None:
        """Forget a connection that has ended."""
        self._by_session.pop(connection.id, None)
        if not self._by_session and self._emptied is not None:
            self._emptied.set()
        key = self._user_of.pop(connection, None)
        if key is not None:
            mine = self._by_user[key]
            del mine[connection]
            if not mine:
                del self._by_user[key]

    def of_user(self, tenant: str | None, user: str) -> list[Registered]:
        """The user's connections on this node."""
        return list(self._by_user.get((tenant, user), ()))

    def of_session(self, session: str) -> Registered | None:
        """The connection of a session on this node."""
        return self._by_session.get(session)

    def belongs_to(self, connection: Registered, tenant: str | None, user: str | None) -> bool:
        """Whether it is this user's, of this tenant; None is anybody's, of any."""
        key = self._user_of.get(connection, (None, None))
        return tenant in (None, key[0]) and user in (None, key[1])

    async def emptied(self) -> None:
        """Return when there is no connection any more."""
        if self._by_session:
            if self._emptied is None or self._emptied.is_set():
                self._emptied = asyncio.Event()
            await self._emptied.wait()

    def all(self) -> list[Registered]:
        """Every connection."""
        return list(self._by_session.values())

    def statistics(self) -> dict[str, int]:
        """Plain counters."""
        return {"sockets": len(self._by_session), "connections": len(self._user_of), "users": len(self._by_user)}
