"""Which pages may connect: a table of origins, each with its reason (security class C1)."""

from __future__ import annotations

import time

import pytest

from tidings.auth import check_origins, origin_allowed
from tidings.core.errors import UsageError
from tidings.ports import CredentialSource

ALLOWED = ("https://partner.example", "https://app.example:8443", "http://localhost:5173")


def allowed(
    origin: str | None,
    host: str | None = "live.example",
    scheme: str = "https",
    source: CredentialSource | None = CredentialSource.COOKIE,
    allowed_origins: tuple[str, ...] = ALLOWED,
    sec_fetch_site: str | None = None,
    plain_get: bool = False,
) -> bool:
    return origin_allowed(
        origin, host=host, scheme=scheme, allowed=allowed_origins, source=source, sec_fetch_site=sec_fetch_site,
        plain_get=plain_get,
    )  # fmt: skip


TABLE: list[tuple[str, str | None, str, str | None, bool]] = [
    # why, origin, scheme, host, allowed
    ("our own", "https://live.example", "https", "live.example", True),
    ("our own, over WebSocket", "https://live.example", "wss", "live.example", True),
    ("our own, the port spelled out", "https://live.example:443", "https", "live.example", True),
    ("our own, the port in Host", "https://live.example", "https", "live.example:443", True),
    ("our own, in capitals", "HTTPS://Live.Example", "https", "LIVE.example", True),
    ("our own, TLS ended by a proxy", "https://live.example", "http", "live.example", True),
    ("our own, plain", "http://live.example", "http", "live.example", True),
    ("development", "http://127.0.0.1:8000", "ws", "127.0.0.1:8000", True),
    ("IPv6", "http://[::1]:8000", "ws", "[::1]:8000", True),
    ("listed", "https://partner.example", "https", "live.example", True),
    ("listed, with its port", "https://app.example:8443", "https", "live.example", True),
    ("listed, plain", "http://localhost:5173", "http", "127.0.0.1:8000", True),
    ("foreign", "https://evil.example", "https", "live.example", False),
    ("null", "null", "https", "live.example", False),
    ("empty", "", "https", "live.example", False),
    ("our name in front", "https://live.example.evil.com", "https", "live.example", False),
    ("our name behind", "https://evillive.example", "https", "live.example", False),
    ("a name below ours", "https://a.live.example", "https", "live.example", False),
    ("the name above ours", "https://example", "https", "live.example", False),
    ("another port", "https://live.example:8443", "https", "live.example", False),
    ("a port in Host alone", "https://live.example", "https", "live.example:8443", False),
    ("localhost is not 127.0.0.1", "http://localhost:8000", "http", "127.0.0.1:8000", False),
    ("a page without TLS, we with it", "http://live.example", "https", "live.example", False),
    ("listed with TLS, came without", "http://partner.example", "https", "live.example", False),
    ("listed without a port, came with one", "https://partner.example:444", "https", "live.example", False),
    ("listed with a port, came without", "https://app.example", "https", "live.example", False),
    ("a dot behind", "https://live.example.", "https", "live.example", False),
    ("user and password", "https://live.example@evil.com", "https", "live.example", False),
    ("user and password of ours", "https://evil.com@live.example", "https", "live.example", False),
    ("a path", "https://live.example/", "https", "live.example", False),
    ("a query", "https://live.example?x", "https", "live.example", False),
    ("a fragment", "https://live.example#x", "https", "live.example", False),
    ("a backtick", "https://live.example`.evil.com", "https", "live.example", False),
    ("a dollar", "https://live.example$.evil.com", "https", "live.example", False),
    ("a backslash", "https://live.example\\.evil.com", "https", "live.example", False),
    ("a percent sign", "https://live%2eexample", "https", "live.example", False),
    ("two origins", "https://live.example, https://evil.example", "https", "live.example", False),
    ("two origins, by space", "https://live.example https://evil.example", "https", "live.example", False),
    ("a line break", "https://live.example\n", "https", "live.example", False),
    ("a zero byte", "https://live.example\0.evil.com", "https", "live.example", False),
    ("another alphabet", "https://l\u0456ve.example", "https", "live.example", False),
    ("its punycode", "https://xn--lve-nea.example", "https", "live.example", False),
    ("digits of another alphabet", "https://live.example:\u0664\u0664\u0663", "https", "live.example", False),
    ("a port of zeros", "https://live.example:0443", "https", "live.example", False),
    ("a port that is none", "https://live.example:", "https", "live.example", False),
    ("a port too high", "https://live.example:65536", "https", "live.example", False),
    ("no scheme", "live.example", "https", "live.example", False),
    ("another scheme", "file://live.example", "https", "live.example", False),
    ("an extension", "chrome-extension://live.example", "https", "live.example", False),
    ("no host", "https://", "https", "live.example", False),
    ("half an IPv6 address", "http://[::1", "http", "[::1", False),
    ("IPv6 with a tail", "http://[::1]x", "http", "[::1]x", False),
    ("a star", "*", "https", "live.example", False),
    ("we have no Host", "https://live.example", "https", None, False),
    ("an empty Host", "https://live.example", "https", "", False),
    ("over-long", "https://" + "a" * 400, "https", "a" * 400, False),
]


@pytest.mark.parametrize(("why", "origin", "scheme", "host", "expected"), TABLE, ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("source", [*CredentialSource, None])
def test_origin(
    why: str, origin: str, scheme: str, host: str | None, expected: bool, source: CredentialSource | None
) -> None:
    assert allowed(origin, host, scheme, source) is expected, why


@pytest.mark.parametrize(
    ("source", "plain_get", "sec_fetch_site", "expected"),
    [
        (CredentialSource.COOKIE, False, None, False),
        (CredentialSource.COOKIE, False, "same-origin", False),
        (CredentialSource.COOKIE, True, None, True),
        (CredentialSource.COOKIE, True, "same-origin", True),
        (CredentialSource.COOKIE, True, "none", True),
        (CredentialSource.COOKIE, True, "same-site", False),
        (CredentialSource.COOKIE, True, "cross-site", False),
        (CredentialSource.COOKIE, True, "", False),
        (CredentialSource.QUERY, False, None, True),
        (CredentialSource.HEADER, False, None, True),
        (CredentialSource.MESSAGE, False, None, True),
        (None, False, None, True),
    ],
)
def test_a_missing_origin(
    source: CredentialSource | None, plain_get: bool, sec_fetch_site: str | None, expected: bool
) -> None:
    assert allowed(None, source=source, plain_get=plain_get, sec_fetch_site=sec_fetch_site) is expected


def test_null_only_where_it_is_listed() -> None:
    assert allowed("null", allowed_origins=("null",))
    assert not allowed("null", allowed_origins=("https://null",))


def test_a_long_header_costs_nothing() -> None:
    started = time.perf_counter()
    for hostile in ("https://" + "a." * 32_000, "https://" + ":" * 64_000, "[" * 64_000, "https://[" + ":" * 64_000):
        assert not allowed(hostile, host=hostile)
    assert time.perf_counter() - started < 0.1


def test_entries_that_could_never_match_are_refused_at_start() -> None:
    check_origins([*ALLOWED, "null"])
    for wrong in ("*", "https://*.example", "example.com", "https://example.com/", "https://example.com/app", ""):
        with pytest.raises(UsageError, match="allowed_origins"):
            check_origins([wrong])
