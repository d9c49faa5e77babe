"""The live part: who may follow what, and what is said when something has changed.

Two topics a list, because two audiences. `gift-list:{id}` carries the gifts, to the whole family.
`gift-claims:{id}` carries who takes care of which gift, to everybody but the person the list is for. One
topic with the claims cut out would give the surprise away too: an event at the moment somebody claims a
gift is news in itself. So the owner's browser is refused the second topic and receives nothing.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from gift_list.auth import read_token
from gift_list.database import engine, transaction
from gift_list.models import Base, Gift, GiftList
from gift_list.schemas import ClaimOut, GiftOut
from tidings import Credentials, Identity, Tidings
from tidings.outbox import Outbox


async def authenticate(credentials: Credentials) -> Identity | None:
    return read_token(credentials.token)


async def may_see_list(identity: Identity, list_id: str) -> bool:
    async with transaction() as db:
        found = await db.get(GiftList, list_id)
    return found is not None and found.family_id == identity.tenant


async def may_see_claims(identity: Identity, list_id: str) -> bool:
    async with transaction() as db:
        found = await db.get(GiftList, list_id)
    return found is not None and found.family_id == identity.tenant and found.owner_id != identity.user


# An event is a row of the transaction that changes the gift: committed means published.
outbox = Outbox(Base.metadata)

live = Tidings(
    authenticate=authenticate,
    authorize={"gift-list:{list_id}": may_see_list, "gift-claims:{list_id}": may_see_claims},
    topics=["gift-list", "gift-claims"],
    outbox=outbox.relay(engine),
)


def publish_gift(db: AsyncSession, event: str, gift: Gift, by: Identity) -> None:
    """Tell the family, once the transaction commits, that a gift was ADDED, UPDATED or DELETED."""
    outbox.add(
        db,
        f"gift-list:{gift.list_id}",
        event,
        entity_id=gift.id,
        payload=GiftOut.model_validate(gift),
        user_id=by.user,
        tenant=by.tenant,
    )


def publish_claim(db: AsyncSession, gift: Gift, by: Identity) -> None:
    """Tell everybody but the list's owner, once the transaction commits, who has the gift now."""
    outbox.add(
        db,
        f"gift-claims:{gift.list_id}",
        "STATUS_CHANGED",
        entity_id=gift.id,
        payload=ClaimOut.of(gift),
        user_id=by.user,
        tenant=by.tenant,
    )
