"""Who may do what: patterns, claims, the default for users, and what a rule may get wrong."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from tidings.auth import Access, RuleAuthorizer
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError, UsageError
from tidings.core.identity import Identity
from tidings.ports import Action

ANA = Identity(user="ana")


async def yes(identity: Identity, **segments: str) -> bool:
    return True


async def no(identity: Identity, **segments: str) -> bool:
    return False


async def may_see_list(identity: Identity, list_id: str) -> bool:
    return list_id == "1"


def in_thread(identity: Identity, list_id: str) -> bool:
    return threading.current_thread() is not threading.main_thread()


@pytest.mark.parametrize(
    ("rules", "topic", "subscribe", "publish"),
    [
        ({}, "gift-list:1", False, False),
        ({"gift-list:{list_id}": may_see_list}, "gift-list:1", True, False),
        ({"gift-list:{list_id}": may_see_list}, "gift-list:2", False, False),
        ({"gift-list:{list_id}": may_see_list}, "gift-list:1:notes", False, False),
        ({"gift-list:{list_id}": yes}, "gift-list:*", False, False),
        ({"gift-list:{list_id}": True}, "gift-list:*", False, False),
        ({"gift-list:{list_id}": in_thread}, "gift-list:1", True, False),
        ({"gift-list:*": True}, "gift-list:*", True, False),
        ({"gift-list:*": yes}, "gift-list:1:notes", True, False),
        ({"gift-list:*": True}, "gift:1", False, False),
        ({"*:messages": True}, "room:messages", True, False),
        ({"*:messages": True}, "room:*", False, False),
        # The most exact pattern decides alone.
        ({"gift-list:*": True, "gift-list:{list_id}": no}, "gift-list:1", False, False),
        ({"gift-list:{list_id}": no, "gift-list:7": yes}, "gift-list:7", True, False),
        ({"gift-list:7": no, "gift-list:*": True}, "gift-list:7", False, False),
        # Publishing is granted by name only.
        ({"chat:{room}": Access(publish=True)}, "chat:1", False, True),
        ({"chat:{room}": Access(subscribe=yes, publish=no)}, "chat:1", True, False),
        ({"chat:{room}": False}, "chat:1", False, False),
        # A user's own topics.
        ({}, "user:ana", True, False),
        ({}, "user:ana:notifications", True, False),
        ({}, "user:ben", False, False),
        ({}, "user:*", False, False),
        ({}, "user:anabel", False, False),
        ({"*:{id}": True, "*:*": True}, "user:ben", False, False),
        ({"*:*": True}, "gift:1", True, False),
        ({"user:{id}": no}, "user:ana", False, False),
        ({"user:*": True}, "user:ben", True, False),
        ({"user:{id}:notifications": no}, "user:ana", True, False),
    ],
)
async def test_rules(rules: dict[str, Any], topic: str, subscribe: bool, publish: bool) -> None:
    authorizer = RuleAuthorizer(rules)
    assert await authorizer.allows(ANA, "subscribe", topic) is subscribe
    assert await authorizer.allows(ANA, "publish", topic) is publish


@pytest.mark.parametrize(
    ("user", "topic", "allowed"),
    [
        ("Ana Müller", "user:Ana~20M~C3~BCller", True),
        ("a:b", "user:a~3Ab", True),
        ("a:b", "user:a:b", False),  # that is a topic of the user "a"
        ("a", "user:a:b", True),
        ("a~3Ab", "user:a~3Ab", False),
        ("a~3Ab", "user:a~7E3Ab", True),
        ("*", "user:*", False),
        ("*", "user:~2A", True),
    ],
)
async def test_a_users_own_topic_is_the_escaped_one(user: str, topic: str, allowed: bool) -> None:
    assert await RuleAuthorizer().allows(Identity(user=user), "subscribe", topic) is allowed


@pytest.mark.parametrize(
    ("granted", "topic", "allowed"),
    [
        (["gift-list:*"], "gift-list:*", True),
        (["gift-list:*"], "gift-list:1", True),
        (["gift-list:1"], "gift-list:1", True),
        (["gift-list:1"], "gift-list:2", False),
        (["gift-list:{id}"], "gift-list:*", False),
        ([], "gift-list:1", False),
        ([], "user:ana", True),
    ],
)
@pytest.mark.parametrize("action", ["subscribe", "publish"])
async def test_claims_grant(granted: list[str], topic: str, allowed: bool, action: Action) -> None:
    identity = (
        Identity(user="ana", subscribe=granted) if action == "subscribe" else Identity(user="ana", publish=granted)
    )
    other: Action = "publish" if action == "subscribe" else "subscribe"
    if topic != "user:ana":
        assert await RuleAuthorizer().allows(identity, action, topic) is allowed
        assert await RuleAuthorizer().allows(identity, other, topic) is False, "a grant of one gave the other"
        assert await RuleAuthorizer({"gift-list:{id}": True}).allows(ANA, "subscribe", "gift-list:1")


async def raises(identity: Identity, list_id: str) -> bool:
    raise LookupError("no such list")


async def answers_a_row(identity: Identity, list_id: str) -> Any:
    return {"list": list_id}


async def answers_none(identity: Identity, list_id: str) -> Any:
    return None


@pytest.mark.parametrize("rule", [raises, answers_a_row, answers_none])
async def test_a_rule_with_a_fault_is_logged_and_refuses(rule: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "tidings"):
        assert await RuleAuthorizer({"gift-list:{list_id}": rule}).allows(ANA, "subscribe", "gift-list:1") is False
    assert "gift-list:{list_id}" in caplog.text


async def refuses(identity: Identity, list_id: str) -> bool:
    raise PeerError(ErrorCode.FORBIDDEN)


async def test_a_rule_may_refuse_by_peer_error(caplog: pytest.LogCaptureFixture) -> None:
    assert await RuleAuthorizer({"gift-list:{list_id}": refuses}).allows(ANA, "subscribe", "gift-list:1") is False
    assert caplog.text == ""


async def takes_no_segment(identity: Identity) -> bool:
    return True


async def takes_a_default(identity: Identity, list_id: str, depth: int = 0) -> bool:
    return True


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"gift-list": True}, "'gift-list' is not a topic pattern"),
        ({"gift-list:{a}:{a}": yes}, "names a segment twice"),
        ({"gift-list:{list id}": yes}, "no segment"),
        ({"gift-list:{id}": may_see_list}, "may_see_list(identity, id=...)"),
        ({"gift-list:{list_id}": takes_no_segment}, "'gift-list:{list_id}' is called as takes_no_segment("),
        ({"gift-list:*": may_see_list}, "may_see_list(identity)"),
        ({"gift-list:{list_id}": Access(publish=takes_no_segment)}, "takes_no_segment"),
        ({"gift-list:{list_id}": "everyone"}, "must be a function, an Access or True; it is a str"),
        ({"giftlist:{list_id}": may_see_list}, "did you mean 'gift-list'?"),
        ({"zebra:{id}": yes}, "add it to topics"),
    ],
)
def test_a_rule_that_does_not_fit_is_told_at_construction(rules: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        RuleAuthorizer(rules, types=["gift-list", "user"])
    assert said in str(refused.value)


def test_rules_that_fit() -> None:
    RuleAuthorizer({"gift-list:{list_id}": takes_a_default, "*:{list_id}": may_see_list}, types=["gift-list"])
