"""Who may connect, from where, with which credentials: one decision, which every transport calls.

A transport that skipped one of these checks would be the hole (C1, C19): so there is no other way to a
:class:`~tidings.ports.Credentials` than through :func:`decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from tidings.auth.origin import origin_allowed
from tidings.core.codes import CloseCode, ErrorCode
from tidings.core.errors import PeerError
from tidings.ports import Credentials, CredentialSource

_KEPT_HEADERS = frozenset(
    {"user-agent", "accept-language", "x-forwarded-for", "traceparent", "cookie", "authorization"}
)
QUERY_FIELDS_MAX = 32


@dataclass(frozen=True, slots=True)
class Decision:
    """What the handshake found: credentials, or none yet (then ``auth`` must be the first frame), or a fault."""

    credentials: Credentials | None
    client_address: str | None
    fault: PeerError | None = None


def decide(scope: Mapping[str, Any], *, cookie: str | None, allowed_origins: Iterable[str]) -> Decision:
    """Decide on an ASGI scope.

    :param cookie: the one cookie that is a credential; None where cookies are none.
    :param allowed_origins: origins besides the server's own, as ``https://app.example.com``.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        headers.setdefault(raw_name.decode("latin-1").lower(), raw_value.decode("latin-1"))
    client = scope.get("client")
    client_address = client[0] if client else None
    try:
        token, source = _token(scope, headers, cookie)
    except ValueError:
        fault = PeerError(
            ErrorCode.BAD_FRAME,
            f"The address has more than {QUERY_FIELDS_MAX} parameters; send topics in frames.",
            close=CloseCode.POLICY_VIOLATION,
        )
        return Decision(None, client_address, fault)
    origin = headers.get("origin")
    if not origin_allowed(
        origin,
        host=headers.get("host"),
        scheme=scope.get("scheme", "http"),
        allowed=allowed_origins,
        source=source,
        sec_fetch_site=headers.get("sec-fetch-site"),
        plain_get=scope["type"] == "http" and scope["method"] == "GET",
    ):
        shown = "without an Origin" if origin is None else f"of the origin {origin[:80]!r}"
        fault = PeerError(
            ErrorCode.ORIGIN_FORBIDDEN,
            f"Pages {shown} may not connect; add it to the server's allowed origins.",
            close=CloseCode.FORBIDDEN,
        )
        return Decision(None, client_address, fault)
    if token is None:
        return Decision(None, client_address)
    kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
    credentials = Credentials(token=token, source=source, client_address=client_address, headers=kept)
    return Decision(credentials, client_address)


def _token(
    scope: Mapping[str, Any], headers: Mapping[str, str], cookie: str | None
) -> tuple[str | None, CredentialSource]:
    """The first there is: a query token wins, then the Authorization header, then the named cookie.

    Raises ValueError for a query of too many fields.
    """
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=QUERY_FIELDS_MAX)
    if query.get("token"):
        return query["token"][0], CredentialSource.QUERY
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and value:
        return value.strip(), CredentialSource.HEADER
    if cookie is not None and "cookie" in headers:
        try:
            found = SimpleCookie(headers["cookie"]).get(cookie)
        except CookieError:
            found = None
        if found is not None and found.value:
            return found.value, CredentialSource.COOKIE
    return None, CredentialSource.MESSAGE
