"""``tidings serve`` beside a back end that says who may what: real processes, and a back end that misbehaves."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.browser.waiting import until
from tests.clients.back_end import SECRET, STALLED, BackEnd, back_end, http, say
from tests.clients.conftest import Process, started

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)
TOPIC, OTHER = "gift-list:1", "secret:1"


@dataclass(frozen=True)
class Server:
    process: Process
    url: str

    @asynccontextmanager
    async def dial(self, token: str | None = None, **options: Any) -> AsyncIterator[ClientConnection]:
        """A connection with credentials that nobody has shown before."""
        token = token or f"ana.{next(_numbers)}"
        async with connect(f"ws{self.url[4:]}/ws?token={token}", **options) as socket:
            yield socket


@contextmanager
def serving(end: BackEnd, **settings: str) -> Iterator[Server]:
    environment = {
        "TIDINGS_WEBHOOK_URL": f"http://127.0.0.1:{end.port}/tidings", "TIDINGS_WEBHOOK_SECRET": SECRET,
        "TIDINGS_WEBHOOK_CALLS": "connect,subscribe,publish,events", "TIDINGS_WEBHOOK_TIMEOUT_SECONDS": "0.4",
        "TIDINGS_API_KEYS": "K1", **settings,
    }  # fmt: skip
    with started("serve", "--port", "0", cwd=None, **environment) as process:
        yield Server(process, process.wait_for(r"Ready on (\S+) ")[1])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def end() -> AsyncIterator[BackEnd]:
    async with back_end() as one:
        yield one


@pytest.fixture(autouse=True)
def behaving(end: BackEnd) -> None:
    end.behave()
    end.calls.clear()


@pytest.fixture(scope="module")
def server(end: BackEnd) -> Iterator[Server]:
    """One that never stops asking, whatever it is answered."""
    with serving(end, TIDINGS_WEBHOOK_FAILURES="0") as one:
        yield one


async def next_frame(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


async def ask(socket: ClientConnection, frame: dict[str, Any]) -> list[dict[str, Any]]:
    """Send it, and give the answers up to the last, which has no topic of its own."""
    await socket.send(json.dumps({**frame, "id": 7}))
    answers: list[dict[str, Any]] = []
    while not answers or (answers[-1]["type"] == "error" and frame["type"] == "subscribe"):
        answers.append(await next_frame(socket))
    return answers


async def subscribe(socket: ClientConnection, *topics: str) -> tuple[list[str], dict[str, str]]:
    """The topics that it holds then, and the codes of those that were refused."""
    *refused, last = await ask(socket, {"type": "subscribe", "topics": topics})
    return list(last["topics"]), {one["topic"]: one["code"] for one in refused}


async def refusal(server: Server, **options: Any) -> tuple[str, int]:
    """Why a handshake is refused, and the close code that follows."""
    async with server.dial(**options) as socket:
        told = await next_frame(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        return told["code"], closed.value.rcvd.code


async def test_the_back_end_says_who_it_is_and_what_they_may(server: Server, end: BackEnd) -> None:
    end.answers["connect"] = lambda _: say({"identity": {"user": "ana", "tenant": "t-1", "claims": {"role": "mum"}}})
    async with server.dial() as socket:
        welcome = await next_frame(socket)
        assert (welcome["user"], welcome["tenant"], welcome["expires_in_seconds"]) == ("ana", "t-1", None)
        held, refused = await subscribe(socket, TOPIC, OTHER, "gift-list:2", "user:ana")
        assert (held, refused) == ([TOPIC, "gift-list:2", "user:ana"], {OTHER: "forbidden"})
        published = {"event": "ADDED", "data": {"entity_id": "g"}}
        assert (await ask(socket, {"type": "publish", "topic": OTHER, **published}))[0]["code"] == "forbidden"
        await socket.send(json.dumps({"type": "publish", "topic": TOPIC, **published, "id": 8}))
        frames = [await next_frame(socket), await next_frame(socket)]
        event = next(frame for frame in frames if "type" not in frame)
        assert event["data"]["tenant_id"] == "t-1"
    (asked,) = end.of("subscribe")
    assert asked["topics"] == [TOPIC, OTHER, "gift-list:2"], "one call for a frame, and none for one's own topic"
    assert asked["identity"] == {"user": "ana", "tenant": "t-1", "claims": {"role": "mum"}}
    assert end.of("connect")[0]["credentials"]["source"] == "query"


async def test_refused_credentials_and_those_that_have_expired(server: Server, end: BackEnd) -> None:
    end.answers["connect"] = lambda _: say({"identity": None, "message": "You have left the family."})
    assert await refusal(server) == ("unauthorized", 4401)
    end.answers["connect"] = lambda _: say({"identity": {"user": "ana", "expires_in_seconds": 0}})
    assert await refusal(server) == ("unauthorized", 4401)
    end.answers["connect"] = lambda _: say({"identity": {"user": "ana", "expires_in_seconds": 60}})
    async with server.dial() as socket:
        assert 55 < (await next_frame(socket))["expires_in_seconds"] <= 60


async def test_an_answer_is_used_again_for_as_long_as_it_says(server: Server, end: BackEnd) -> None:
    end.answers["connect"] = lambda _: say({"identity": {"user": "ana"}, "ttl_seconds": 60})
    end.answers["subscribe"] = lambda _: say({"allowed": ["gift-list:cached"], "ttl_seconds": 60})
    for _ in range(3):
        async with server.dial("the-same") as socket:
            await next_frame(socket)
            assert await subscribe(socket, "gift-list:cached", OTHER) == (["gift-list:cached"], {OTHER: "forbidden"})
    assert [len(end.of(kind)) for kind in ("connect", "subscribe")] == [1, 1]

    end.behave()
    for _ in range(2):
        async with server.dial("another-one") as socket:
            await next_frame(socket)
            await subscribe(socket, TOPIC)
    assert [len(end.of(kind)) for kind in ("connect", "subscribe")] == [3, 3]


LIES: dict[str, bytes] = {
    "html": http(200, b"<html>Welcome!</html>"),
    "no object": say(["identity", "allowed"]),
    "of another shape": say({"identity": "ana", "allowed": "gift-list:1"}),
    "true": say({"identity": True, "allowed": True}),
    "numbers": say({"identity": {"user": 7}, "allowed": [1]}),
    "nobody": say({"identity": {"user": ""}, "allowed": None}),
    "a ttl that is none": say({"identity": {"user": "ana"}, "allowed": [TOPIC], "ttl_seconds": "long"}),
    "too much": say({"identity": {"user": "ana"}, "allowed": [TOPIC], "more": "x" * 70_000}),
    "deep": http(200, b"[" * 50_000),
    "elsewhere": http(302, b"", headers="Location: http://127.0.0.1/\r\n"),
    "unauthorized, by what stands before it": http(401, b"{}"),
    "not found": http(404, b"{}"),
    "failed": say({"identity": {"user": "ana"}, "allowed": [TOPIC]}, 500),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "stalled": STALLED,
    "stalled in the middle": b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{",
}


@pytest.mark.parametrize("lie", list(LIES))
async def test_no_answer_grants_nothing(server: Server, end: BackEnd, lie: str) -> None:
    async with server.dial() as socket:
        await next_frame(socket)
        end.answer_all(LIES[lie])
        assert await subscribe(socket, TOPIC, "user:ana") == (["user:ana"], {TOPIC: "unavailable"})
        event = {"topic": TOPIC, "event": "ADDED", "data": {"entity_id": "g"}}
        assert (await ask(socket, {"type": "publish", **event}))[0]["code"] == "unavailable"
    assert await refusal(server) == ("unavailable", 1011)


async def test_a_topic_that_nobody_asked_about_is_not_granted(server: Server, end: BackEnd) -> None:
    end.answers["subscribe"] = lambda _: say({"allowed": [OTHER, "gift-list:*"], "ttl_seconds": 60})
    async with server.dial() as socket:
        await next_frame(socket)
        asked = "gift-list:asked"  # what it is answered is remembered
        assert await subscribe(socket, asked) == ([], {asked: "forbidden"})
        end.answers["subscribe"] = lambda _: say({"allowed": []})
        assert await subscribe(socket, OTHER) == ([], {OTHER: "forbidden"})


async def test_a_topic_of_which_it_cannot_say_is_refused_for_now_and_asked_again(server: Server, end: BackEnd) -> None:
    end.answers["subscribe"] = lambda _: say({"allowed": ["gift-list:x"], "failed": ["gift-list:y"], "ttl_seconds": 60})
    async with server.dial() as socket:
        await next_frame(socket)
        assert await subscribe(socket, "gift-list:x", "gift-list:y") == (
            ["gift-list:x"],
            {"gift-list:y": "unavailable"},
        )
        end.behave()
        assert await subscribe(socket, "gift-list:y") == (["gift-list:y"], {})


async def test_a_renewal_that_nobody_answers_takes_nothing_away(server: Server, end: BackEnd) -> None:
    async with server.dial("ana.1") as socket:
        await next_frame(socket)
        await subscribe(socket, TOPIC)
        end.answers["subscribe"] = lambda _: STALLED
        await socket.send(json.dumps({"type": "auth", "token": "ana.2"}))
        assert (await next_frame(socket))["type"] == "welcome"
        end.answers["connect"] = lambda _: STALLED
        answers = await ask(socket, {"type": "auth", "token": "ana.3"})
        assert answers[0]["code"] == "unavailable"
        end.answers["subscribe"] = lambda _: say({"allowed": []})
        end.answers["connect"] = lambda _: say({"identity": {"user": "ana", "tenant": "t-1"}})
        await socket.send(json.dumps({"type": "auth", "token": "ana.4"}))
        frames = [await next_frame(socket), await next_frame(socket)]
        assert [frame["type"] for frame in frames] == ["welcome", "unsubscribed"], "refused, it is taken away"


async def test_polls_are_asked_about_and_are_no_sessions(server: Server, end: BackEnd) -> None:
    headers = {"Authorization": f"Bearer polly.{next(_numbers)}"}
    body = {"topics": [TOPIC, OTHER, "gift-list:9"], "since": {}}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=10) as client:
        frames = (await client.post(f"{server.url}/poll", json=body)).json()["frames"]
        assert [frame.get("code", frame["type"]) for frame in frames] == ["forbidden", "subscribed"]
        assert [call["topics"] for call in end.of("subscribe")] == [body["topics"]]
        end.answers["connect"] = lambda _: STALLED
        answer = await client.post(f"{server.url}/poll", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    end.behave()
    async with server.dial() as socket:  # a session, of which is told after what a poll would have told
        session = (await next_frame(socket))["session"]
        await end.told(session, [("connected", None)])
    assert "polly" not in {event["user"] for call in end.of("events") for event in call["events"]}


async def test_sessions_are_told_in_order_though_the_back_end_fails_for_a_while(server: Server, end: BackEnd) -> None:
    end.answers["events"] = lambda _: http(500, b"")
    async with server.dial() as socket:
        session = (await next_frame(socket))["session"]
        await subscribe(socket, TOPIC, OTHER, "gift-list:2")
        await ask(socket, {"type": "unsubscribe", "topics": [TOPIC, "gift-list:3"]})

        async def tries() -> int:
            return len(end.of("events"))

        await until(tries, lambda count: count > 0)
        end.calls.clear()
        end.behave()
    lived = [("connected", None), ("subscribed", TOPIC), ("subscribed", "gift-list:2"), ("unsubscribed", TOPIC)]
    await end.told(session, [*lived, ("disconnected", None)])
    assert {event["user"] for call in end.of("events") for event in call["events"]} == {"ana"}


async def test_who_fails_too_often_is_left_alone_and_tried_again(end: BackEnd) -> None:
    settings = {
        "TIDINGS_WEBHOOK_FAILURES": "3",
        "TIDINGS_WEBHOOK_PAUSE_SECONDS": "1",
        "TIDINGS_WEBHOOK_CALLS": "connect",
    }
    with serving(end, **settings) as server:
        end.answers["connect"] = lambda _: http(500, b"")
        for _ in range(3):
            assert await refusal(server) == ("unavailable", 1011)
        assert len(end.calls) == 3
        server.process.wait_for_error(r"no answer from the back end .*HTTP 500; it is not asked for 1 s")
        for _ in range(5):
            assert await refusal(server) == ("unavailable", 1011)
        assert len(end.calls) == 3, "it was asked while it was to be left alone"
        end.behave()

        async def enter() -> str:
            async with server.dial() as socket:
                return str((await next_frame(socket))["type"])

        await until(enter, lambda kind: kind == "welcome")
        server.process.wait_for_error("answers again")
        assert await enter() == "welcome"


async def test_calls_are_bounded_and_connections_are_kept(end: BackEnd) -> None:
    settings = {"TIDINGS_WEBHOOK_CONCURRENCY": "2", "TIDINGS_WEBHOOK_CALLS": "connect"}
    with serving(end, **settings) as server:
        before = end.connections
        for _ in range(10):
            async with server.dial() as socket:
                await next_frame(socket)
        assert end.connections - before == 1
        assert len(end.calls) == 10


async def test_a_cookie_is_enough_where_it_is_named(end: BackEnd) -> None:
    end.answers["connect"] = lambda call: say({"identity": {"user": call["credentials"]["token"]}})
    with serving(end, TIDINGS_COOKIE="sid", TIDINGS_WEBHOOK_CALLS="connect") as server:
        headers = {"Cookie": "theme=dark; sid=ana"}
        address = f"ws{server.url[4:]}/ws"
        async with connect(address, additional_headers=headers, origin=server.url.removesuffix("/realtime")) as socket:  # type: ignore[arg-type]
            assert (await next_frame(socket))["user"] == "ana"
    assert end.calls[0]["credentials"]["headers"]["cookie"] == "theme=dark; sid=ana"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TIDINGS_WEBHOOK_SECRET": "short"}, r"webhook_secret \(TIDINGS_WEBHOOK_SECRET\) must have 32 bytes"),
        ({"TIDINGS_WEBHOOK_URL": "localhost:3000"}, r"webhook_url \(TIDINGS_WEBHOOK_URL\) must be the address"),
        ({"TIDINGS_WEBHOOK_CALLS": "conect"}, r"webhook_calls \(TIDINGS_WEBHOOK_CALLS\)"),
        ({"TIDINGS_WEBHOOK_CALLS": "subscribe"}, "a secret is missing"),
    ],
)
async def test_settings_that_cannot_work(command: Callable[..., Any], settings: dict[str, str], said: str) -> None:
    right = {"TIDINGS_WEBHOOK_URL": "http://127.0.0.1:1/", "TIDINGS_WEBHOOK_SECRET": SECRET}
    with command("serve", "--port", "0", **(right | settings)) as process:
        process.wait_for_error(said)
        assert process.command.wait(10) == 2
