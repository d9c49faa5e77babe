"""The families of the demo, and signing in."""

import pytest
from families import Home, client

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_demo_starts_with_families_and_days_to_come(running: None) -> None:
    async with client() as nobody:
        families = (await nobody.get("/api/members")).json()
        harper = next(family for family in families if family["id"] == "harper")
        assert [member["name"] for member in harper["members"]] == ["Ana", "Ben", "Rose", "Leo", "Mia"]

        session = (await nobody.post("/api/login", json={"member_id": "ana"})).json()
        assert (session["member"]["name"], session["family"]) == ("Ana", harper)
        nobody.headers["Authorization"] = f"Bearer {session['token']}"
        lists = (await nobody.get("/api/lists")).json()
        assert lists[0]["id"] == "leo-ten"
        assert all(each["gifts"] >= 2 for each in lists)
        assert [each["claimed"] for each in lists if each["owner_id"] == "ana"] == [None]


async def test_a_fresh_token_for_who_is_signed_in(home: Home) -> None:
    answer = await home.ben.api.get("/api/me")
    assert answer.json()["member"]["id"] == home.ben.id
    assert answer.json()["token"]


async def test_nobody_signs_in_as_who_is_not_there(running: None) -> None:
    async with client() as nobody:
        answer = await nobody.post("/api/login", json={"member_id": "nobody"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_an_unknown_path_of_the_api_is_told_in_the_same_form(running: None) -> None:
    async with client() as nobody:
        answer = await nobody.get("/api/nothing")
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"
