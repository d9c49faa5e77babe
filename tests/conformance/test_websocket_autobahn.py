"""Autobahn's cases against the fast transport, run by kosoku."""

from __future__ import annotations

import kosoku
import pytest

from tests.echo import echo_application
from tests.servers import Address, serving
from tidings.transports.websocket_fast import WebSocketProtocol

pytestmark = pytest.mark.usefixtures("both_loops")

ALL = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}  # what the RFC leaves open: nothing to pass


async def run(address: Address, cases: list[str], *, count: int, concurrency: int) -> None:
    try:
        results = await kosoku.run_fuzzingclient(address.websocket, cases=cases, concurrency=concurrency)
    except kosoku.FailureError as failure:
        results = failure.results
    verdicts = {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}
    assert len(verdicts) == count, "the suite was not run whole"
    expected = {
        case: ("INFORMATIONAL", "INFORMATIONAL") if case in INFORMATIONAL else ("OK", "OK") for case in verdicts
    }
    assert {case: verdict for case, verdict in verdicts.items() if verdict != expected[case]} == {}


async def test_every_case_of_the_protocol() -> None:
    async with serving(echo_application(), ws=WebSocketProtocol) as address:
        await run(address, ALL, count=247, concurrency=4)


@pytest.mark.nightly
@pytest.mark.timeout(900)
async def test_large_messages_and_many() -> None:
    async with serving(echo_application(), ws=WebSocketProtocol) as address:
        await run(address, ["9.*"], count=54, concurrency=1)
