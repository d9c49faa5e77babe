"""The webhooks' parts without a network: the signature, the circuit breaker, what is remembered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tidings.auth.webhook_breaker import Breaker, BreakerState
from tidings.auth.webhook_call import check_url
from tidings.auth.webhook_memory import ANSWERS_MAX, Memory
from tidings.auth.webhook_signature import REPLAY_SECONDS, sign, verify

VECTORS = json.loads((Path(__file__).parents[3] / "spec" / "vectors" / "webhook_signatures.json").read_text())
SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_795_489_445


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_signatures(vector: dict[str, object]) -> None:
    body = str(vector["body"]).encode()
    signature = str(vector["signature"])
    assert verify(VECTORS["secret"], body, signature, VECTORS["now"]) is vector["valid"]


def test_what_is_signed_is_verified_within_five_minutes() -> None:
    signature = sign(SECRET, b"{}", NOW)
    assert verify(SECRET, b"{}", signature, NOW + REPLAY_SECONDS)
    assert not verify(SECRET, b"{}", signature, NOW + REPLAY_SECONDS + 1)
    assert not verify(SECRET, b"{ }", signature, NOW)
    assert not verify(SECRET.upper(), b"{}", signature, NOW)


def test_a_breaker_opens_after_failures_in_a_row_and_tries_one_call() -> None:
    breaker = Breaker(3, 5.0)
    for now in (0.0, 1.0):
        assert breaker.admits(now)
        breaker.failed(now)
    breaker.succeeded()
    for now in (2.0, 3.0, 4.0):
        assert breaker.admits(now), "the failures were not in a row"
        breaker.failed(now)
    assert not breaker.admits(8.9)
    breaker.failed(8.9)  # one that began before
    assert breaker.admits(9.0)
    assert not breaker.admits(9.0), "one call is on trial"
    breaker.failed(9.0)
    assert not breaker.admits(13.9)
    assert breaker.admits(14.0)
    breaker.abandoned(14.0)
    assert breaker.admits(14.0), "a trial that said nothing is made again"
    assert breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(15.0)
    assert breaker.admits(15.0), "the count begins anew"


def test_a_breaker_that_is_switched_off_never_opens() -> None:
    breaker = Breaker(0, 5.0)
    for _ in range(100):
        assert breaker.admits(0.0)
        breaker.failed(0.0)


def test_an_answer_is_remembered_as_long_as_it_says_and_an_hour_at_most() -> None:
    memory = Memory[bool]()
    memory.put(b"a", False, 10, now=0)
    memory.put(b"b", True, 1e9, now=0)
    memory.put(b"c", True, 0, now=0)
    assert (memory.get(b"a", 9.9), memory.get(b"a", 10), memory.get(b"c", 0)) == (False, None, None)
    assert (memory.get(b"b", 3_599), memory.get(b"b", 3_600)) == (True, None)
    for number in range(ANSWERS_MAX + 1):
        memory.put(str(number).encode(), True, 10, now=0)
    assert memory.get(b"0", 0) is None
    assert memory.get(b"1", 0) is True


@pytest.mark.parametrize(
    "url", ["", "localhost:3000", "ftp://a", "http://", "http://u:p@a/", "http://a:b/", "http://a b/", "http://a/#x"]
)
def test_what_is_no_address_of_a_back_end(url: str) -> None:
    with pytest.raises(ValueError):
        check_url(url)
