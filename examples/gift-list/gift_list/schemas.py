"""What goes over the wire, by REST and in events alike."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gift_list.models import Gift

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)]
Price = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=2)]


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class MemberOut(_Out):
    id: str
    name: str
    role: str
    hue: int


class FamilyOut(_Out):
    id: str
    name: str
    members: list[MemberOut]


class Session(_Out):
    """Who is signed in; `token` goes into the header Authorization and into the WebSocket's handshake."""

    token: str
    member: MemberOut
    family: FamilyOut


class GiftOut(_Out):
    """A gift as everybody may see it, the person it is for included: not a word about claims."""

    id: str
    list_id: str
    name: str
    note: str
    price: Decimal | None
    added_by: str
    added_at: datetime
    revision: int


class ClaimOut(_Out):
    """Who takes care of a gift (null: nobody). Never sent to the person the gift is for."""

    gift_id: str
    claimed_by: str | None
    revision: int

    @classmethod
    def of(cls, gift: Gift) -> Self:
        return cls(gift_id=gift.id, claimed_by=gift.claimed_by, revision=gift.claim_revision)


class ListOut(_Out):
    id: str
    owner_id: str
    title: str
    due_on: date


class ListSummary(ListOut):
    """A list with its counts; `claimed` is null for the person the list is for."""

    gifts: int
    claimed: int | None


class ListDetail(ListOut):
    """A list with its gifts; `claims` is null for the person the list is for."""

    gifts: list[GiftOut]
    claims: list[ClaimOut] | None


class Login(BaseModel):
    member_id: str


class NewGift(BaseModel):
    """A wish to add. `id` is chosen by the client, so that a repeated request adds it once."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"\A[0-9a-f]{32}\z")
    name: Name
    note: Note = ""
    price: Price | None = None


class GiftChange(BaseModel):
    """The fields that change; those left out stay, so two people can change two fields at once."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    note: Note | None = None
    price: Price | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("a gift needs a name")
        return self
