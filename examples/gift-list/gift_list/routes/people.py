"""Families and members, and signing in as one of them."""

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gift_list.auth import Me, issue_token
from gift_list.database import transaction
from gift_list.errors import Refused, not_found
from gift_list.models import Family, Member
from gift_list.schemas import FamilyOut, Login, MemberOut, Session

router = APIRouter(prefix="/api", tags=["people"])


@router.get("/members")
async def read_members() -> list[FamilyOut]:
    """All families with their members: the choice on the sign-in page."""
    async with transaction() as db:
        families = (await db.scalars(select(Family).order_by(Family.name))).all()
        return [await _family(db, family) for family in families]


@router.post("/login")
async def sign_in(body: Login) -> Session:
    async with transaction() as db:
        member = await db.get(Member, body.member_id)
        if member is None:
            raise not_found("member")
        return await _session(db, member)


@router.get("/me")
async def read_me(me: Me) -> Session:
    """Who is signed in, with a fresh token."""
    async with transaction() as db:
        member = await db.get(Member, me.user)
        if member is None or member.family_id != me.tenant:
            raise Refused(401, "signed_out", "Please sign in again.")
        return await _session(db, member)


async def _session(db: AsyncSession, member: Member) -> Session:
    family = await db.get_one(Family, member.family_id)
    return Session(
        token=issue_token(member),
        member=MemberOut.model_validate(member),
        family=await _family(db, family),
    )


async def _family(db: AsyncSession, family: Family) -> FamilyOut:
    members = await db.scalars(select(Member).where(Member.family_id == family.id).order_by(Member.position))
    return FamilyOut(id=family.id, name=family.name, members=[MemberOut.model_validate(member) for member in members])
