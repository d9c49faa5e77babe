"""Adding, changing and removing gifts: what is stored, what is answered, what is published."""

from decimal import Decimal
from typing import Any

import pytest
from families import Home, Published, add_gift, client, settled, stored

from gift_list.live import live
from gift_list.models import new_id
from tidings.testing import published as published_by

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_new_gift_is_stored_answered_and_published_alike(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id, name="  Marble run ", note="Big box", price="49.95")

    row = await stored(gift["id"])
    assert (row.name, row.price, row.added_by, row.revision) == (
        "Marble run",
        Decimal("49.95"),
        home.ana.id,
        1,
    )
    assert gift["price"] == "49.95"
    [event] = published
    assert (event.topic, event.event, event.entity_id) == (f"gift-list:{home.list_id}", "ADDED", gift["id"])
    assert (event.user_id, event.tenant) == (home.ana.id, home.ana.family_id)
    assert event.payload.model_dump(mode="json") == gift


async def test_what_was_committed_reaches_the_subscribers(home: Home) -> None:
    with published_by(live) as said:
        gift = await add_gift(home.ana, home.list_id)
        refused = await home.ana.api.patch("/api/gifts/none", json={"name": "x"})
        await settled()
    assert refused.status_code == 404
    [event] = [event for event in said if event.topic == f"gift-list:{home.list_id}"]
    assert (event.name, event.entity_id, event.tenant) == ("ADDED", gift["id"], home.ana.family_id)
    assert event.payload == gift


async def test_a_repeated_add_makes_one_gift_and_one_event(home: Home, published: list[Published]) -> None:
    body = {"id": new_id(), "name": "Book"}
    answers = [await home.ana.api.post(f"{home.path}/gifts", json=body) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert len((await home.ana.api.get(home.path)).json()["gifts"]) == 1
    assert [event.event for event in published] == ["ADDED"]


async def test_a_change_leaves_the_other_fields_alone(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id, note="Green wheels")

    by_ben = await home.ben.api.patch(f"/api/gifts/{gift['id']}", json={"name": "Skates"})
    by_leo = await home.leo.api.patch(f"/api/gifts/{gift['id']}", json={"price": None})

    assert by_ben.json() == gift | {"name": "Skates", "revision": 2}
    assert by_leo.json() == gift | {"name": "Skates", "price": None, "revision": 3}
    assert [(event.event, event.payload.revision) for event in published] == [
        ("ADDED", 1),
        ("UPDATED", 2),
        ("UPDATED", 3),
    ]


async def test_a_removed_gift_is_gone_and_comes_back_with_its_claim(home: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id)
    path = f"/api/gifts/{gift['id']}"
    await home.ana.api.put(f"{path}/claim")

    assert (await home.ana.api.delete(path)).status_code == 204
    assert (await home.ben.api.get(home.path)).json()["gifts"] == []
    assert (await home.ana.api.delete(path)).status_code == 404
    assert (await home.ana.api.patch(path, json={"name": "x"})).status_code == 404
    assert (await home.ben.api.put(f"{path}/claim")).status_code == 404

    restored = await home.ana.api.post(f"{path}/restore")
    assert restored.json() == gift | {"revision": 3}
    [claim] = (await home.ben.api.get(home.path)).json()["claims"]
    assert claim["claimed_by"] == home.ana.id
    assert [event.event for event in published] == ["ADDED", "STATUS_CHANGED", "DELETED", "ADDED"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"note": "x" * 401}, "note"),
        ({"price": "1.234"}, "price"),
        ({"price": "-1"}, "price"),
        ({"price": "cheap"}, "price"),
        ({"id": "short"}, "id"),
        ({"id": "0" * 32 + "\n"}, "id"),
        ({"claimed_by": "ben"}, "claimed_by"),
    ],
)
async def test_a_bad_gift_is_refused_and_the_field_named(
    home: Home, published: list[Published], body: dict[str, Any], field: str
) -> None:
    answer = await home.ana.api.post(f"{home.path}/gifts", json={"id": new_id(), "name": "Skates"} | body)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert list(answer.json()["error"]["fields"]) == [field]
    assert published == []


@pytest.mark.parametrize("body", [{}, {"name": None}, {"revision": 9}])
async def test_a_bad_change_is_refused(home: Home, body: dict[str, Any]) -> None:
    gift = await add_gift(home.ana, home.list_id)
    answer = await home.ana.api.patch(f"/api/gifts/{gift['id']}", json=body)
    assert answer.status_code == 422
    assert (await stored(gift["id"])).revision == 1


async def test_another_family_finds_nothing(home: Home, neighbours: Home, published: list[Published]) -> None:
    gift = await add_gift(home.ana, home.list_id)
    del published[:]
    api, path = neighbours.ana.api, f"/api/gifts/{gift['id']}"
    answers = [
        await api.get(home.path),
        await api.post(f"{home.path}/gifts", json={"id": new_id(), "name": "x"}),
        await api.patch(path, json={"name": "x"}),
        await api.delete(path),
        await api.post(f"{path}/restore"),
        await api.put(f"{path}/claim"),
        await api.delete(f"{path}/claim"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 7
    assert {answer.json()["error"]["code"] for answer in answers} == {"not_found"}
    assert home.list_id not in [each["id"] for each in (await api.get("/api/lists")).json()]
    assert published == []


async def test_who_is_not_signed_in_is_told_so(home: Home) -> None:
    async with client() as nobody:
        for headers in ({}, {"Authorization": "Bearer nonsense"}):
            for path in ("/api/me", "/api/lists", home.path):
                answer = await nobody.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.json()["error"]["code"] == "signed_out"
