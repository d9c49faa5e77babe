"""Changing gifts. Every route changes and publishes in one transaction: both hold, or neither."""

from fastapi import APIRouter
from sqlalchemy import ColumnElement, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from gift_list.auth import Me
from gift_list.database import transaction
from gift_list.errors import Refused, not_found
from gift_list.live import publish_claim, publish_gift
from gift_list.models import Gift, GiftList, Member
from gift_list.schemas import ClaimOut, GiftChange, GiftOut, NewGift
from tidings import Identity

router = APIRouter(prefix="/api", tags=["gifts"])

kept = Gift.removed.is_(False)
unclaimed = Gift.claimed_by.is_(None)


@router.post("/lists/{list_id}/gifts", status_code=201)
async def add_gift(list_id: str, body: NewGift, me: Me) -> GiftOut:
    async with transaction() as db:
        gift_list = await db.get(GiftList, list_id)
        if gift_list is None or gift_list.family_id != me.tenant:
            raise not_found("list")
        gift = await db.get(Gift, body.id)
        if gift is None:
            gift = Gift(**body.model_dump(), list_id=list_id, added_by=me.user)
            db.add(gift)
            await db.flush()  # fills in what the table has defaults for
            publish_gift(db, "ADDED", gift, me)
        elif gift.list_id != list_id or gift.added_by != me.user or gift.removed:
            raise Refused(409, "id_taken", "This gift was added before, and removed since.")
    return GiftOut.model_validate(gift)


@router.patch("/gifts/{gift_id}")
async def edit_gift(gift_id: str, body: GiftChange, me: Me) -> GiftOut:
    async with transaction() as db:
        await _seen(db, gift_id, me)
        fields = body.model_dump(exclude_unset=True)
        gift = await _update(db, gift_id, kept, **fields, revision=Gift.revision + 1)
        if gift is None:
            raise not_found("gift")
        publish_gift(db, "UPDATED", gift, me)
    return GiftOut.model_validate(gift)


@router.delete("/gifts/{gift_id}", status_code=204)
async def remove_gift(gift_id: str, me: Me) -> None:
    async with transaction() as db:
        _, gift_list = await _seen(db, gift_id, me)
        # The owner may always change their mind. A refusal would tell them that somebody has the gift.
        owner = gift_list.owner_id == me.user
        free = true() if owner else unclaimed | (Gift.claimed_by == me.user)
        gift = await _update(db, gift_id, kept & free, removed=True, revision=Gift.revision + 1)
        if gift is None:
            raise await _lost_to_another(db, gift_id, me)
        publish_gift(db, "DELETED", gift, me)


@router.post("/gifts/{gift_id}/restore")
async def restore_gift(gift_id: str, me: Me) -> GiftOut:
    """Undo a removal: the gift comes back in its old place, with its claim."""
    async with transaction() as db:
        gift, _ = await _seen(db, gift_id, me, also_removed=True)
        restored = await _update(db, gift_id, ~kept, removed=False, revision=Gift.revision + 1)
        if restored is not None:
            publish_gift(db, "ADDED", restored, me)
    return GiftOut.model_validate(restored or gift)


@router.put("/gifts/{gift_id}/claim")
async def claim_gift(gift_id: str, me: Me) -> ClaimOut:
    # The database decides who was first: of two claims at once, the second finds nothing unclaimed.
    return await _hand_over(gift_id, me, condition=unclaimed, to=me.user)


@router.delete("/gifts/{gift_id}/claim")
async def unclaim_gift(gift_id: str, me: Me) -> ClaimOut:
    return await _hand_over(gift_id, me, condition=Gift.claimed_by == me.user, to=None)


async def _hand_over(gift_id: str, me: Identity, *, condition: ColumnElement[bool], to: str | None) -> ClaimOut:
    """Give the gift to `to` if the condition holds; a repeat of what is so already succeeds too."""
    async with transaction() as db:
        gift, gift_list = await _seen(db, gift_id, me)
        if gift_list.owner_id == me.user:
            raise Refused(403, "own_list", "This list is yours: leave the giving to the others.")
        revision = Gift.claim_revision + 1
        changed = await _update(db, gift_id, kept & condition, claimed_by=to, claim_revision=revision)
        gift = changed or (await _seen(db, gift_id, me))[0]
        if gift.claimed_by != to:
            raise await _lost_to_another(db, gift_id, me)
        if changed is not None:
            publish_claim(db, changed, me)
    return ClaimOut.of(gift)


async def _seen(db: AsyncSession, gift_id: str, me: Identity, *, also_removed: bool = False) -> tuple[Gift, GiftList]:
    """The gift as it is now, and its list; raises `Refused` (404) unless it is one of the family's."""
    gift = await db.get(Gift, gift_id, populate_existing=True)
    gift_list = await db.get(GiftList, gift.list_id) if gift else None
    if gift is None or gift_list is None or gift_list.family_id != me.tenant:
        raise not_found("gift")
    if gift.removed and not also_removed:
        raise not_found("gift")
    return gift, gift_list


async def _update(db: AsyncSession, gift_id: str, condition: ColumnElement[bool], **values: object) -> Gift | None:
    """Change the gift if the condition holds, in one statement, so that no other change comes between.

    Returns the gift as it is then; None where the condition does not hold.
    """
    change = update(Gift).where(Gift.id == gift_id, condition).values(values).returning(Gift)
    return await db.scalar(change, execution_options={"populate_existing": True})


async def _lost_to_another(db: AsyncSession, gift_id: str, me: Identity) -> Refused:
    """Why a change found nothing to change: another has claimed the gift, or it is gone."""
    gift, _ = await _seen(db, gift_id, me)
    claimer = await db.get(Member, gift.claimed_by) if gift.claimed_by else None
    name = claimer.name if claimer else "Somebody"
    return Refused(409, "already_claimed", f"{name} has already claimed this.")
