"""May a page of this origin use us? One answer for every transport (cross-site WebSocket hijacking).

Browsers send cookies to us from any page, and say in ``Origin`` which page it was. So an origin that is
not our own, nor allowed, is refused whatever the credentials. Comparison is exact, on parsed parts: no
patterns, no substrings, no regular expressions on what a stranger wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tidings.core.errors import UsageError
from tidings.ports import CredentialSource

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")
_IPV6_CHARACTERS = frozenset("0123456789abcdef:.")
_LENGTH_MAX = 300  # a DNS name has at most 253 characters


class Origin(NamedTuple):
    """Scheme, host and port, as RFC 6454 compares them."""

    scheme: str
    host: str
    port: int


def origin_allowed(
    origin: str | None,
    *,
    host: str | None,
    scheme: str,
    allowed: Iterable[str],
    source: CredentialSource | None,
    sec_fetch_site: str | None = None,
    plain_get: bool = False,
) -> bool:
    """Whether a request from a page of this origin may go on.

    :param origin: the ``Origin`` header, None where there is none.
    :param host: the ``Host`` header.
    :param scheme: the request's: http, https, ws or wss; http where a proxy ended TLS.
    :param allowed: origins beside our own, such as ``https://app.example.com``; ``null`` only if listed.
    :param source: how the credentials came; None where none came yet.
    :param sec_fetch_site: that header, which browsers set and pages cannot.
    :param plain_get: an ordinary GET, such as an event stream: there browsers leave ``Origin`` out for pages
        of our own. A WebSocket handshake always has one.
    """
    if origin is None:
        if source is not CredentialSource.COOKIE:
            return True  # no browser, or a token that only our own page can know
        return plain_get and sec_fetch_site in (None, "same-origin", "none")
    allowed = tuple(allowed)
    if origin == "null":
        return "null" in allowed
    parsed = parse_origin(origin)
    if parsed is None:
        return False
    return parsed == _own_origin(host, scheme, parsed.scheme) or parsed in map(parse_origin, allowed)


def check_origins(origins: Iterable[str]) -> None:
    """Raise UsageError for an entry of ``allowed_origins`` that could never match."""
    for text in origins:
        if text != "null" and parse_origin(text) is None:
            raise UsageError(
                f"allowed_origins: {text[:80]!r} is not an origin; write scheme and host, and nothing behind them, "
                "such as https://app.example.com"
            )


def parse_origin(text: str) -> Origin | None:
    """An ``Origin`` header as its parts; None for anything that no browser would send."""
    scheme, separator, authority = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        return None
    return _parse_authority(authority, scheme)


def _own_origin(host: str | None, scheme: str, page_scheme: str) -> Origin | None:
    """The origin of our own pages, as seen from a page of ``page_scheme``."""
    if host is None:
        return None
    secure = scheme in ("https", "wss")
    if secure and page_scheme == "http":
        return None  # a page without TLS may be anybody's
    # Without TLS here a proxy may have ended it, so the page's scheme gives the port that Host leaves out.
    return _parse_authority(host, page_scheme)


def _parse_authority(text: str, scheme: str) -> Origin | None:
    if not text or len(text) > _LENGTH_MAX or not text.isascii():
        return None
    text = text.lower()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        good = bool(bracket) and bool(host) and set(host) <= _IPV6_CHARACTERS
        if rest and not rest.startswith(":"):
            return None
        has_port, port_text = bool(rest), rest[1:]
    else:
        host, colon, port_text = text.partition(":")
        good = bool(host) and set(host) <= _HOST_CHARACTERS
        has_port = bool(colon)
    if not good:
        return None
    if not has_port:
        return Origin(scheme, host, _DEFAULT_PORTS[scheme])
    if not port_text.isdigit() or len(port_text) > 5 or port_text.startswith("0") or int(port_text) > 65_535:
        return None
    return Origin(scheme, host, int(port_text))
