"""Claiming: one winner, and not a word to the person the list is for."""

import asyncio

import pytest
from families import Home, Published, add_gift, settled, stored

from gift_list.live import may_see_claims, may_see_list
from tidings import Identity

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_claim_is_stored_and_published_on_the_topic_of_claims(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id)
    claim = await home.ana.api.put(f"/api/gifts/{gift['id']}/claim")

    assert claim.json() == {"gift_id": gift["id"], "claimed_by": home.ana.id, "revision": 1}
    event = published[-1]
    assert (event.topic, event.event) == (f"gift-claims:{home.list_id}", "STATUS_CHANGED")
    assert event.payload.model_dump(mode="json") == claim.json()

    back = await home.ana.api.delete(f"/api/gifts/{gift['id']}/claim")
    assert back.json() == {"gift_id": gift["id"], "claimed_by": None, "revision": 2}


async def test_of_two_claims_at_once_one_wins_and_the_other_is_told_who(home: Home) -> None:
    for _ in range(10):
        gift = await add_gift(home.ana, home.list_id)
        path = f"/api/gifts/{gift['id']}/claim"
        answers = dict(
            zip(
                ("Ana", "Ben"),
                await asyncio.gather(home.ana.api.put(path), home.ben.api.put(path)),
                strict=True,
            )
        )
        [winner] = [name for name, answer in answers.items() if answer.status_code == 200]
        [loser] = [answer for name, answer in answers.items() if name != winner]
        assert loser.status_code == 409
        assert loser.json() == {"error": {"code": "already_claimed", "message": f"{winner} has already claimed this."}}
        assert (await stored(gift["id"])).claim_revision == 1


async def test_claiming_or_letting_go_twice_changes_nothing(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id)
    path = f"/api/gifts/{gift['id']}/claim"
    first, again = await home.ana.api.put(path), await home.ana.api.put(path)
    assert first.json() == again.json()
    first, again = await home.ana.api.delete(path), await home.ana.api.delete(path)
    assert first.json() == again.json()
    assert [event.event for event in published] == ["ADDED", "STATUS_CHANGED", "STATUS_CHANGED"]


async def test_nobody_lets_go_of_what_another_has_claimed_or_removes_it(home: Home) -> None:
    gift = await add_gift(home.ana, home.list_id)
    await home.ben.api.put(f"/api/gifts/{gift['id']}/claim")

    for answer in (
        await home.ana.api.delete(f"/api/gifts/{gift['id']}/claim"),
        await home.ana.api.delete(f"/api/gifts/{gift['id']}"),
    ):
        assert answer.status_code == 409
        assert answer.json()["error"]["message"] == "Ben has already claimed this."
    row = await stored(gift["id"])
    assert (row.claimed_by, row.removed) == (home.ben.id, False)


async def test_the_owner_learns_nothing_of_claims(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.leo, home.list_id)
    await settled()
    before = (await home.leo.api.get(home.path), await home.leo.api.get("/api/lists"))
    del published[:]
    await home.ben.api.put(f"/api/gifts/{gift['id']}/claim")
    await settled()
    after = (await home.leo.api.get(home.path), await home.leo.api.get("/api/lists"))

    # Nothing that the owner reads differs, headers included: no revision and no cursor counts the claim.
    for was, now in zip(before, after, strict=True):
        assert now.content == was.content
        assert now.headers["Tidings-Cursor"] == was.headers["Tidings-Cursor"]
        assert "gift-claims" not in now.headers["Tidings-Cursor"]
    assert after[0].json()["claims"] is None
    assert after[1].json()[0]["claimed"] is None
    assert [event.topic for event in published] == [f"gift-claims:{home.list_id}"]

    # The others read it.
    detail = await home.ana.api.get(home.path)
    assert detail.json()["claims"] == [{"gift_id": gift["id"], "claimed_by": home.ben.id, "revision": 1}]
    assert f"gift-claims:{home.list_id}=" in detail.headers["Tidings-Cursor"]
    assert (await home.ana.api.get("/api/lists")).json()[0]["claimed"] == 1


async def test_the_owner_is_refused_claims_and_may_remove_a_claimed_gift(home: Home) -> None:
    gift = await add_gift(home.leo, home.list_id)
    await home.ben.api.put(f"/api/gifts/{gift['id']}/claim")
    for method in ("PUT", "DELETE"):
        answer = await home.leo.api.request(method, f"/api/gifts/{gift['id']}/claim")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "own_list")
    # A refusal here would say that somebody has it.
    assert (await home.leo.api.delete(f"/api/gifts/{gift['id']}")).status_code == 204


async def test_who_may_follow_which_topic(home: Home, neighbours: Home) -> None:
    ana, leo, stranger = (
        Identity(user=person.id, tenant=person.family_id) for person in (home.ana, home.leo, neighbours.ana)
    )
    allowed = [
        (await may_see_list(who, home.list_id), await may_see_claims(who, home.list_id)) for who in (ana, leo, stranger)
    ]
    assert allowed == [(True, True), (True, False), (False, False)]
    assert not await may_see_list(ana, "nothing")
    assert not await may_see_claims(ana, "nothing")
