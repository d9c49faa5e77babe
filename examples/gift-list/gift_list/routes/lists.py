"""Reading lists. Each answer carries the cursors of its topics in the header Tidings-Cursor."""

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from gift_list.auth import Me
from gift_list.database import transaction
from gift_list.errors import not_found
from gift_list.live import live
from gift_list.models import Gift, GiftList
from gift_list.schemas import ClaimOut, GiftOut, ListDetail, ListOut, ListSummary
from tidings import Identity

router = APIRouter(prefix="/api", tags=["lists"])


@router.get("/lists")
async def read_lists(me: Me, response: Response) -> list[ListSummary]:
    """The family's lists, the next day to come first."""
    async with transaction() as db:
        family = select(GiftList).where(GiftList.family_id == me.tenant)
        lists = (await db.scalars(family.order_by(GiftList.due_on, GiftList.id))).all()
    for gift_list in lists:
        await _note_cursors(gift_list, me, response)
    async with transaction() as db:
        counted = await db.execute(
            select(Gift.list_id, func.count(), func.count(Gift.claimed_by))
            .where(Gift.list_id.in_([gift_list.id for gift_list in lists]), Gift.removed.is_(False))
            .group_by(Gift.list_id)
        )
        counts = {list_id: (gifts, claimed) for list_id, gifts, claimed in counted}
    summaries = []
    for gift_list in lists:
        gifts, claimed = counts.get(gift_list.id, (0, 0))
        shown = None if gift_list.owner_id == me.user else claimed
        summaries.append(ListSummary(**_heading(gift_list), gifts=gifts, claimed=shown))
    return summaries


@router.get("/lists/{list_id}")
async def read_list(list_id: str, me: Me, response: Response) -> ListDetail:
    """One list with its gifts and, unless it is one's own, who takes care of them."""
    async with transaction() as db:
        gift_list = await db.get(GiftList, list_id)
    if gift_list is None or gift_list.family_id != me.tenant:
        raise not_found("list")
    await _note_cursors(gift_list, me, response)
    async with transaction() as db:
        kept = select(Gift).where(Gift.list_id == list_id, Gift.removed.is_(False))
        gifts = (await db.scalars(kept.order_by(Gift.added_at, Gift.id))).all()
    return ListDetail(
        **_heading(gift_list),
        gifts=[GiftOut.model_validate(gift) for gift in gifts],
        claims=None if gift_list.owner_id == me.user else [ClaimOut.of(gift) for gift in gifts],
    )


async def _note_cursors(gift_list: GiftList, me: Identity, response: Response) -> None:
    """Write down where the topics stand, BEFORE the gifts are queried.

    A change between this moment and the subscription then comes as an event, so none is lost. Read after
    the query, the cursor would step over a change that the query has not seen. The owner gets no cursor of
    the claims: it would count them.
    """
    await live.cursor(f"gift-list:{gift_list.id}", tenant=me.tenant, response=response)
    if gift_list.owner_id != me.user:
        await live.cursor(f"gift-claims:{gift_list.id}", tenant=me.tenant, response=response)


def _heading(gift_list: GiftList) -> dict[str, Any]:
    return ListOut.model_validate(gift_list).model_dump()
