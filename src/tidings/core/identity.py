"""Who a connection acts for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the authenticator found out; on the way in it is the only source of user and tenant.

    :param user: the user's id, as your application knows it.
    :param tenant: whose data it may see; None where the application has no tenants.
    :param expires_at: when the credentials end, in seconds since 1970 (a JWT's ``exp``); None for never.
    :param subscribe: topic patterns that the token itself grants; None leaves it to the rules.
    :param publish: the same for publishing.
    :param claims: whatever else your rules want to read.
    """

    user: str
    tenant: str | None = None
    expires_at: float | None = None
    subscribe: Sequence[str] | None = None
    publish: Sequence[str] | None = None
    claims: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def same_person(self, other: Identity) -> bool:
        """Whether both name the same user of the same tenant."""
        return self.user == other.user and self.tenant == other.tenant
