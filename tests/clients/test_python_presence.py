"""Presence with the Python client, over real sockets; WebSocket on both of the server's transports, and SSE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.python_rig import LIST, SECRET, server, token
from tests.servers import serving
from tidings import Access, Settings, Tidings, UsageError
from tidings.brokers.sqlite import SQLiteBroker
from tidings.client import Presence, TopicDenied, connect
from tidings.core.limits import Limits
from tidings.engine.clock import SystemClock


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def users(room: Presence) -> list[str]:
    return sorted(member.user for member in room.members)


@pytest.mark.parametrize("transports", [("websocket",), ("sse",)], ids=lambda names: names[0])
async def test_two_clients_see_each_other_change_and_leave(transports: tuple[str, ...]) -> None:
    async with server() as (_, url, _), AsyncExitStack() as stack:
        ana = await stack.enter_async_context(connect(url, token=token("ana"), transports=transports))
        ben = await stack.enter_async_context(connect(url, token=token("ben"), transports=transports))
        mine = await stack.enter_async_context(ana.presence(LIST, state={"typing": False}))
        async with ben.presence(LIST) as his:
            await until(lambda: users(mine) == users(his) == ["ana", "ben"])
            assert [(m.user, m.state, m.is_self) for m in his.members if m.user == "ana"] == [
                ("ana", {"typing": False}, False)
            ]
            assert [m.user for m in mine.members if m.is_self] == ["ana"]
            mine.update({"typing": True})
            await until(lambda: {"typing": True} in [m.state for m in his.members])
        await until(lambda: users(mine) == ["ana"])
        assert (mine.state, mine.count, mine.complete, mine.error) == ("live", 1, True, None)


async def test_a_loop_is_told_of_each_change_and_ends_with_the_client() -> None:
    async with (
        server() as (_, url, _),
        connect(url, token=token("ana")) as ana,
        connect(url, token=token("ben")) as ben,
    ):
        seen: list[list[str]] = []

        async def follow() -> None:
            async with ana.presence(LIST) as room:
                async for members in room:
                    names = [member.user for member in members]
                    seen.append(names)

        task = asyncio.create_task(follow())
        await until(lambda: ["ana"] in seen)
        async with ben.presence(LIST):
            await until(lambda: seen[-1] == ["ana", "ben"])
        await until(lambda: seen[-1] == ["ana"])
        await ana.close()
        async with asyncio.timeout(5):
            await task


async def test_after_a_restart_of_the_server_members_come_again() -> None:
    async with AsyncExitStack() as stack:
        async with server() as (_, url, port):
            ana = await stack.enter_async_context(connect(url, token=token("ana")))
            room = await stack.enter_async_context(ana.presence(LIST, state={"n": 1}))
            await until(lambda: users(room) == ["ana"])
            first = room.members[0].session
        await until(lambda: room.state == "away")
        assert users(room) == ["ana"]
        async with server(port) as (live, _, _):
            await until(lambda: room.state == "live", 20)
            assert room.members[0].session != first
            assert [(one.user, one.state) for one in await live.members(LIST)] == [("ana", {"n": 1})]


async def test_polls_have_no_presence_and_say_so() -> None:
    async with server() as (live, url, _), connect(url, token=token("ana"), transports=("poll",)) as ana:
        async with ana.presence(LIST) as room:
            await until(lambda: room.state == "unavailable")
            assert await live.members(LIST) == []


async def test_what_is_no_topic_is_refused_where_it_is_asked_for() -> None:
    async with connect("http://127.0.0.1:9", token="x") as ana:
        for topic in ("gifts", "gift-list:*"):
            with pytest.raises(TopicDenied):
                ana.presence(topic)


def guarded(**options: Any) -> Tidings:
    async def is_ana(identity: Any, list_id: str) -> bool:
        return bool(identity.user == "ana")

    rule = Access(subscribe=True, presence=is_ana)
    off = Access(subscribe=True, presence=False)
    return Tidings(
        authorize={"gift-list:{list_id}": rule, "news:{name}": off}, settings=Settings(secret=SECRET, api_keys=["k"]),
        **options,
    )  # fmt: skip


def plain_token(user: str) -> str:
    """One that leaves the rights to the rules."""
    import time

    import jwt

    return jwt.encode({"sub": user, "exp": time.time() + 600}, SECRET, algorithm="HS256")


async def test_rules_of_their_own_for_presence() -> None:
    live = guarded()
    async with serving_of(live) as url, connect(url, token=plain_token("ana")) as ana:
        async with connect(url, token=plain_token("ben")) as ben, ana.presence(LIST) as hers, ben.presence(LIST) as his:
            await until(lambda: hers.state == "live" and his.state == "denied")
            assert his.error is not None and his.error["code"] == "no_presence"
            assert users(hers) == ["ana"] and his.members == []
            async with ana.presence("news:today") as nobody:
                await until(lambda: nobody.state == "denied")


def serving_of(live: Tidings) -> Any:
    from contextlib import asynccontextmanager

    from starlette.applications import Starlette

    @asynccontextmanager
    async def run() -> Any:
        app = Starlette()
        live.mount(app)
        async with serving(app) as address:
            yield f"http://127.0.0.1:{address.port}"

    return run()


async def test_who_is_there_over_http_and_for_your_code() -> None:
    live = guarded()
    async with serving_of(live) as url, httpx.AsyncClient(headers={"Authorization": "Bearer k"}) as http:
        where = f"{url}/realtime/presence"
        assert (await http.get(where, params={"topic": LIST})).json() == {"topic": LIST, "members": [], "count": 0}
        async with connect(url, token=plain_token("ana")) as ana, ana.presence(LIST, state={"at": [1, 2]}) as room:
            await until(lambda: room.state == "live")
            session = room.members[0].session
            assert (await http.get(where, params={"topic": LIST})).json() == {
                "topic": LIST, "members": [{"session": session, "user": "ana", "state": {"at": [1, 2]}}], "count": 1,
            }  # fmt: skip
            assert (await http.get(where, params={"topic": LIST, "tenant": "t"})).json()["count"] == 0
            (one,) = await live.members(LIST)
            assert (one.user, one.session, one.state) == ("ana", session, {"at": [1, 2]})
        for params, status, code in (
            ({}, 400, "bad_frame"),
            ({"topic": "gifts"}, 400, "bad_topic"),
            ({"topic": "gift-list:*"}, 400, "bad_topic"),
        ):
            answer = await http.get(where, params=params)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert (await http.get(where, headers={"Authorization": "Bearer x"})).status_code == 401
    with pytest.raises(UsageError):
        await live.members("gifts")


async def test_two_processes_of_one_sqlite_broker_see_each_other(tmp_path: Path) -> None:
    """Two servers in this process, each with its own broker on the same file: as workers have it."""
    servers = [
        guarded(broker=SQLiteBroker(tmp_path / "events.db", Limits(), SystemClock())) for _ in range(2)
    ]  # fmt: skip
    async with serving_of(servers[0]) as here, serving_of(servers[1]) as there, AsyncExitStack() as stack:
        one = await stack.enter_async_context(connect(here, token=plain_token("ana")))
        two = await stack.enter_async_context(connect(there, token=plain_token("ana")))
        mine = await stack.enter_async_context(one.presence(LIST, state={"n": 1}))
        async with two.presence(LIST, state={"n": 2}) as other:
            await until(lambda: users(mine) == users(other) == ["ana", "ana"])
            assert len(await servers[0].members(LIST)) == len(await servers[1].members(LIST)) == 2
        await until(lambda: users(mine) == ["ana"])
