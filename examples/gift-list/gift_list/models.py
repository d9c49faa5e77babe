"""The tables: a family has members, each list is for one of them, each gift stands on one list."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gift_list.columns import Money, UtcTime


def new_id() -> str:
    """A random identifier of 32 hex digits."""
    return uuid4().hex


def now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    pass


class Family(Base):
    __tablename__ = "families"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))


class Member(Base):
    __tablename__ = "members"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    family_id: Mapped[str] = mapped_column(ForeignKey("families.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    role: Mapped[str] = mapped_column(String(80))
    # The hue of the member's picture, in degrees of the OKLCH circle.
    hue: Mapped[int]
    position: Mapped[int]


class GiftList(Base):
    """What one member wishes for, for one day."""

    __tablename__ = "gift_lists"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    family_id: Mapped[str] = mapped_column(ForeignKey("families.id"), index=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("members.id"))
    title: Mapped[str] = mapped_column(String(80))
    due_on: Mapped[date]


class Gift(Base):
    """One wish, and who takes care of it.

    Two revisions, because two audiences: the person the list is for sees `revision`, and would learn from
    a single one that somebody has claimed the gift.
    """

    __tablename__ = "gifts"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=new_id)
    list_id: Mapped[str] = mapped_column(ForeignKey("gift_lists.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    note: Mapped[str] = mapped_column(String(400), default="")
    price: Mapped[Decimal | None] = mapped_column(Money)
    added_by: Mapped[str] = mapped_column(ForeignKey("members.id"))
    added_at: Mapped[datetime] = mapped_column(UtcTime, default=now)
    revision: Mapped[int] = mapped_column(default=1)
    # A removed gift stays in the table, so that a removal can be undone with its claim still there.
    removed: Mapped[bool] = mapped_column(default=False)
    claimed_by: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    claim_revision: Mapped[int] = mapped_column(default=0)
