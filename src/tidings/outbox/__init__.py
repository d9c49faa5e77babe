"""The transactional outbox: an event is a row of the transaction that changes the data (promise 3).

::

    outbox = Outbox(Base.metadata)
    live = Tidings(secret=..., outbox=outbox.relay(engine))

    async with sessions.begin() as session:
        session.add(gift)
        await session.flush()
        outbox.add(session, f"gift-list:{gift.list_id}", "ADDED", entity_id=gift.id, payload=gift_out(gift))

Needs ``pip install 'tidings[sqlalchemy]'``; PostgreSQL or SQLite.
"""

from tidings.outbox.box import Outbox
from tidings.outbox.ledger import Parked, Status
from tidings.outbox.relay import Relay
from tidings.outbox.schema import create_outbox, drop_outbox

__all__ = ["Outbox", "Parked", "Relay", "Status", "create_outbox", "drop_outbox"]
