"""The tables of ``docs/http.md`` say what the code does."""

from __future__ import annotations

import re

from tests.docs.snippets import ROOT
from tidings import Identity, Settings, Tidings
from tidings.core.codes import ErrorCode
from tidings.engine.catalog import Catalog
from tidings.http import routes
from tidings.http.answers import STATUS

PAGE = (ROOT / "docs" / "http.md").read_text("utf-8")

# What only a connection is told: the HTTP surface has no session.
OF_CONNECTIONS = {
    ErrorCode.UNKNOWN_TYPE,
    ErrorCode.TOO_MANY_SUBSCRIPTIONS,
    ErrorCode.TOO_MANY_CONNECTIONS,
    ErrorCode.RATE_LIMITED,
    ErrorCode.TOKEN_EXPIRED,
    ErrorCode.AUTH_TIMEOUT,
    ErrorCode.IDENTITY_CHANGED,
    ErrorCode.UNKNOWN_SESSION,
}


def test_every_error_stands_there_with_its_status() -> None:
    rows = re.findall(r"^\| ((?:`\w+`,? ?)+) \| (\d{3}) \|$", PAGE, re.MULTILINE)
    told = {code: int(status) for codes, status in rows for code in re.findall(r"\w+", codes)}
    assert told == {code.value: status for code, status in STATUS.items() if code not in OF_CONNECTIONS}


def test_every_route_stands_there() -> None:
    live = Tidings(authenticate=lambda who: Identity(user=who.token))
    there = {
        f"{method} {route.path}"
        for route in routes(live, Settings(), Catalog(None))
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert there
    table = PAGE.partition("| request |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`((?:GET|POST) [^`]+)`", table)) == there
