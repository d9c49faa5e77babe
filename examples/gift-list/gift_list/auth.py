"""Who is asking. The demo has no passwords: whoever names a member is that member."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gift_list.errors import Refused
from gift_list.models import Member
from gift_list.settings import settings
from tidings import Identity


def issue_token(member: Member) -> str:
    """A token that says which member of which family is signed in."""
    expires = datetime.now(UTC) + timedelta(hours=settings.token_hours)
    claims = {"sub": member.id, "tenant": member.family_id, "exp": expires}
    return jwt.encode(claims, settings.secret, algorithm="HS256")


def read_token(token: str) -> Identity | None:
    """The member in the token; None where it is forged, damaged or out of date."""
    try:
        claims = jwt.decode(token, settings.secret, algorithms=["HS256"], options={"require": ["sub", "tenant", "exp"]})
    except jwt.InvalidTokenError:
        return None
    return Identity(user=claims["sub"], tenant=claims["tenant"], expires_at=claims["exp"])


async def signed_in(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> Identity:
    """The member who makes this request. Reads the token only, so it begins no database transaction."""
    identity = read_token(credentials.credentials) if credentials else None
    if identity is None:
        raise Refused(401, "signed_out", "Please sign in again.")
    return identity


Me = Annotated[Identity, Depends(signed_in)]
