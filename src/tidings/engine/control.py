"""What one node tells all others of its broker: so far, that a user's connections are to be ended (F47).

It is an event of a topic that no client can name, for its tenant is none that credentials may hold. A broker that
loses live messages may lose this one: a node that must not miss it reads the history, which no broker needs yet.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

import msgspec

from tidings.core.events import Publication
from tidings.core.topics import TopicKey
from tidings.ports import Broker, Receiver

log = logging.getLogger("tidings.control")

KEY = TopicKey("\0tidings", "control:nodes")


class Disconnect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose connections are to be ended, and which node has done so already."""

    node: str
    user: str | None = None
    tenant: str | None = None
    session: str | None = None


class Control:
    """A receiver before another one (``ports.Receiver``), which takes out what is meant for the node itself.

    :param on_disconnect: ends the connections of this node.
    """

    def __init__(self, broker: Broker, receiver: Receiver, on_disconnect: Callable[[Disconnect], object]) -> None:
        self._broker = broker
        self._receiver = receiver
        self._on_disconnect = on_disconnect
        self._node = secrets.token_hex(8)

    async def start(self) -> None:
        """Hear the other nodes, from now on. Raises BrokerUnavailable."""
        await self._broker.join(KEY)

    async def tell_disconnect(self, *, user: str | None, tenant: str | None, session: str | None) -> None:
        """Tell the others. Raises BrokerUnavailable; to repeat it is safe."""
        told = Disconnect(node=self._node, user=user, tenant=tenant, session=session)
        await self._broker.publish(KEY, msgspec.json.encode(told))

    def received(self, publication: Publication) -> None:
        """A live message: another node's word, or an event."""
        if publication.key != KEY:
            self._receiver.received(publication)
            return
        try:
            told = msgspec.json.decode(publication.body, type=Disconnect)
        except msgspec.MsgspecError as error:
            log.warning("a word of another node was not understood, as between two versions: %s", error)
            return
        if told.node != self._node:
            self._on_disconnect(told)

    def interrupted(self) -> None:
        """Live messages may have been lost."""
        self._receiver.interrupted()
