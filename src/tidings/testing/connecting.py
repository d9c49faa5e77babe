"""Clients of an application's own ``Tidings``, in one process, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from tidings.core.errors import UsageError
from tidings.core.identity import Identity
from tidings.ports import Credentials
from tidings.testing.client import Client

if TYPE_CHECKING:
    from tidings.server import Tidings  # whoever has one has loaded it

_ONE_OF = "connect() takes one of user=, identity= and token=: who the client is, or what it shows to say so"
_users: WeakKeyDictionary[Tidings, int] = WeakKeyDictionary()  # how many of a test's parts use one that we started


@asynccontextmanager
async def started(live: Tidings) -> AsyncIterator[Tidings]:
    """Start ``live`` where nothing has, and close it when the last part of the test that uses it has ended.

    ``connect`` does this by itself; it is for tests that publish without a client.
    Raises UsageError where it runs on another event loop.
    """
    loop = asyncio.get_running_loop()
    if live._loop is not None and live._loop is not loop:
        if not live._loop.is_closed():
            raise UsageError("this Tidings runs on another event loop; connect to it from there, or close() it first")
        await live.close()  # left by an earlier test, whose loop has ended
        _users.pop(live, None)
    ours = live in _users or live._loop is None
    if ours:
        _users[live] = _users.get(live, 0) + 1
        await live.start()
    try:
        yield live
    finally:
        if ours:
            _users[live] -= 1
            if _users[live] == 0:
                del _users[live]
                await live.close()


@asynccontextmanager
async def connect(
    live: Tidings,
    *,
    user: str | None = None,
    tenant: str | None = None,
    identity: Identity | None = None,
    token: str | Credentials | None = None,
) -> AsyncIterator[Client]:
    """A client that is connected and welcome, until the block ends. Rules, tenants and limits hold as for any.

    :param user: its word is taken: the authenticator is not asked; with ``tenant``, of that tenant.
    :param identity: the same with everything else that an identity has, such as ``expires_at`` and ``claims``.
    :param token: shown to the application's own authenticator, as in the query; :class:`Credentials` show a
        cookie or headers as well.

    Raises ConnectionEnded where the credentials are refused, UsageError where not exactly one is given.
    """
    if sum(given is not None for given in (user, identity, token)) != 1 or (tenant is not None and user is None):
        raise UsageError(_ONE_OF)
    if user is not None:
        identity = Identity(user=user, tenant=tenant)
    shown = identity if identity is not None else token
    assert shown is not None
    async with started(live):
        client = Client(live.node)
        try:
            await client.open(shown)
            yield client
        finally:
            client.close()
