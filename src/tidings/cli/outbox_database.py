"""The outbox that a setting names, for the commands. SQLAlchemy is loaded only where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.core.errors import UsageError

if TYPE_CHECKING:
    from tidings.outbox import Relay


def relay_of(url: str | None) -> Relay:
    """A relay of the outbox in that database. Raises UsageError where there is none, or no SQLAlchemy."""
    if not url:
        raise UsageError("an outbox is missing: give --outbox or TIDINGS_OUTBOX, the URL of the database that holds it")
    try:
        from tidings.outbox import Outbox  # noqa: PLC0415
        from tidings.outbox.database import engine_from_url  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UsageError("the outbox needs SQLAlchemy: pip install 'tidings[sqlalchemy]'") from None
    return Outbox().relay(engine_from_url(url))
