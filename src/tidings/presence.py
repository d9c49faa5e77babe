"""One who is present, as your code gets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tidings.core.frames import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """One connection that is present on a topic.

    :ivar session: the connection's; a user with several is present several times.
    :ivar state: what the client says of itself, at most 1 KiB: no word of it is checked.
    """

    user: str
    session: str
    state: Mapping[str, Any]


def present(member: Member) -> Present:
    """The same, decoded."""
    return Present(user=member.user, session=member.session, state=msgspec.json.decode(member.state))
