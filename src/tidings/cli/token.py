"""``tidings token``: make a token, for trying out and for scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from tidings.auth.jwt import mint_token
from tidings.core.errors import UsageError
from tidings.core.events import format_timestamp
from tidings.settings import Settings


def token(
    user: Annotated[str, typer.Option(help="Whose token it is: the claim sub.")],
    secret: Annotated[str | None, typer.Option(help="The server's secret; better given as TIDINGS_SECRET.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose data it may see.")] = None,
    subscribe: Annotated[
        list[str] | None,
        typer.Option(help="Topic pattern that it may subscribe to, such as 'gift-list:*'. Repeatable."),
    ] = None,
    publish: Annotated[list[str] | None, typer.Option(help="Topic pattern that it may publish on. Repeatable.")] = None,
    ttl: Annotated[int, typer.Option(min=1, help="Seconds until it expires.")] = 3_600,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Make a token that the server takes. Without --subscribe the user may see its own user:{id} only."""
    settings = Settings() if secret is None else Settings(secret=secret)
    if settings.secret is None:
        raise UsageError("a secret is missing: give --secret or TIDINGS_SECRET, the same as the server's")
    now = datetime.now(UTC)
    minted = mint_token(
        settings.secret,
        user=user,
        tenant=tenant,
        subscribe=subscribe or None,
        publish=publish or None,
        ttl_seconds=ttl,
        audience=settings.audience,
        issuer=settings.issuer,
        algorithm=settings.algorithms[0],
        now=now,
    )
    if as_json:
        minted = json.dumps({"token": minted, "expires_at": format_timestamp(now + timedelta(seconds=ttl))})
    print(minted)
