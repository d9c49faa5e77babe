"""``tidings bench`` against a real server, with a middleman that loses, doubles and reorders on purpose."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from tidings.client.addresses import parse_address
from tidings.load.publishers import HttpPublisher

# What happens to the events that one subscriber gets, counted from 1. The middleman numbers the subscribers in the
# order of their first event.
LOSE = {0: {3, 7}, 1: {20}}
DOUBLE = {1: {5}, 2: {1, 6}}
SWAP_WITH_NEXT = {2: {11}, 3: {4}}
CUT_BEFORE = {4: {9}}
EVENTS = 20


class Middleman:
    """Hands frames on between clients and the server, but for its faults."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._subscribers = 0
        self._cuts_left = 1
        self._lock = threading.Lock()

    def __call__(self, client: ServerConnection) -> None:
        request = client.request
        assert request is not None
        with connect(f"{self._target}{request.path}", compression=None) as server:
            upward = threading.Thread(target=self._hand_up, args=(client, server))
            upward.start()
            try:
                self._hand_down(client, server)
            except ConnectionClosed:
                pass
            finally:
                client.close()
                server.close()
                upward.join()

    def _hand_up(self, client: ServerConnection, server: ClientConnection) -> None:
        try:
            for frame in client:
                server.send(frame)
        except ConnectionClosed:
            pass
        server.close()

    def _hand_down(self, client: ServerConnection, server: ClientConnection) -> None:
        subscriber, count, held = -1, 0, None
        for frame in server:
            if "type" in json.loads(frame):
                client.send(frame)
                continue
            if not count:
                subscriber = self._number()
            count += 1
            if count in CUT_BEFORE.get(subscriber, ()) and self._cuts_left:
                self._cuts_left -= 1
                return
            if count in LOSE.get(subscriber, ()):
                continue
            if count in SWAP_WITH_NEXT.get(subscriber, ()):
                held = frame
                continue
            client.send(frame)
            if count in DOUBLE.get(subscriber, ()):
                client.send(frame)
            if held is not None:
                client.send(held)
                held = None

    def _number(self) -> int:
        with self._lock:
            self._subscribers += 1
            return self._subscribers - 1


@contextmanager
def middleman(target: str) -> Iterator[str]:
    listener: Server
    with serve(Middleman(target), "127.0.0.1", 0, compression=None) as listener:
        running = threading.Thread(target=listener.serve_forever)
        running.start()
        host, port = listener.socket.getsockname()[:2]
        yield f"http://{host}:{port}/realtime"
        listener.shutdown()
        running.join()


def load(command: Callable[..., Any], *options: str) -> tuple[int, dict[str, Any]]:
    with command("bench", *options, "--json", "--patience", "1") as process:
        report: dict[str, Any] = json.loads(process.wait_for(r"^\{").string)
        return process.command.wait(10), report


def test_planted_faults_are_counted_exactly(server: Any, command: Callable[..., Any]) -> None:
    root = server.websocket_url.removesuffix("/realtime/ws")
    with middleman(root) as url:
        status, report = load(
            command, url, "--secret", server.secret, "--connections", "6", "--topic", "gift-list:planted",
            "--rate", "10", "--seconds", str(EVENTS / 10),
        )  # fmt: skip
    assert report["errors"] == {"closed 1000": 1}
    wrong = {name: report[name] for name in ("lost", "told", "doubled", "reordered", "expected", "received")}
    # A cut one comes back from its cursor and gets the rest: nothing of it is lost.
    assert wrong == {"lost": 3, "told": 0, "doubled": 3, "reordered": 2, "expected": 6 * EVENTS,
                     "received": 6 * EVENTS - 3}  # fmt: skip
    connections = report["connections"]
    assert (connections["dropped"], connections["recovered"], connections["gone"]) == (1, 1, 0)
    assert status == 1


def test_a_server_that_keeps_its_promise(server: Any, command: Callable[..., Any]) -> None:
    status, report = load(
        command, server.url, "--secret", server.secret, "--api-key", server.api_key, "--connections", "30",
        "--topics", "3", "--topic", "gift-list:kept", "--rate", "100", "--seconds", "1", "--ramp", "0",
    )  # fmt: skip
    assert status == 0, report
    assert report["published"] == 100 and report["expected"] == report["received"] == 1_000
    assert report["connections"]["opened"] == 30 and report["errors"] == {}
    times = report["latency_ms"]
    assert 0 < times["p50"] <= times["p99"] <= times["p999"] <= times["max"]
    assert sum(count for _, count in times["histogram"]) == 1_000


def test_one_user_beyond_his_connections_is_counted_by_code(server: Any, command: Callable[..., Any]) -> None:
    status, report = load(
        command, server.url, "--token", server.token(user="bench-many"), "--connections", "23", "--rate", "10",
        "--topic", "gift-list:many", "--seconds", "0.5", "--ramp", "0",
    )  # fmt: skip
    # The publisher is the same user, and the first of the twenty.
    assert status == 1 and report["connections"]["opened"] == 19 and report["connections"]["failed"] == 4
    assert report["errors"] == {"too_many_connections": 4} and report["received"] == 19 * 5


def test_what_people_read(server: Any, command: Callable[..., Any]) -> None:
    options = ["--secret", server.secret, "--api-key", server.api_key, "--topic", "gift-list:people"]
    with command("bench", server.url, *options, "--connections", "5", "--rate", "20", "--seconds", "0.5") as process:
        process.wait_for(r"^Connections +5 of 5 in ")
        process.wait_for(r"^Received +50 of 50, ")
        process.wait_for(r"^Lost +0")
        process.wait_for(r"^Latency +p50 [\d.]+ ms, p90 ")
        assert process.command.wait(10) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["http://127.0.0.1:1"], "error: nobody can sign in: "),
        (["ftp://127.0.0.1", "--secret", "s"], "error: 'ftp://127.0.0.1' is not an address"),
        (["http://127.0.0.1:1", "--secret", "s", "--topic", "nocolon"], "error: nocolon-1: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(options: list[str], said: str, command: Callable[..., Any]) -> None:
    with command("bench", *options) as process:
        assert process.command.wait(15) == 2
    assert len(process.errors) == 1 and process.errors[0].startswith(said), process.errors


def test_a_bad_token_is_said_by_its_code(server: Any, command: Callable[..., Any]) -> None:
    with command("bench", server.url, "--token", "bad") as process:
        assert process.command.wait(15) == 2
    assert process.errors == [f"error: the publisher cannot connect to {server.url}: unauthorized\n"]


@pytest.mark.parametrize("key", [[], ["--api-key", "k"]])
def test_nobody_there(key: list[str], command: Callable[..., Any]) -> None:
    options = ["http://127.0.0.1:1", "--token", "t", "--connections", "2", "--ramp", "0", *key]
    if not key:
        with command("bench", *options) as process:
            assert process.command.wait(15) == 2
        assert process.errors[-1].startswith("error: the publisher cannot connect to http"), process.errors
        return
    status, report = load(command, *options)
    assert status == 1 and report["connections"]["failed"] == 2 and sum(report["errors"].values()) == 2


async def test_events_over_http_keep_their_order_however_slow_an_answer_is() -> None:
    """Two connections would overtake each other, and the server would be blamed."""
    stored: list[int] = []

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if 0 in (event["data"]["payload"] for event in events):
                first_waits.wait(10)
            stored.extend(event["data"]["payload"] for event in events)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    first_waits = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        address = parse_address(f"http://127.0.0.1:{server.server_address[1]}")
        async with HttpPublisher(address, "k") as publisher:
            publishing = [asyncio.create_task(publisher.publish("gift-list:1", number)) for number in range(50)]
            await asyncio.wait([asyncio.create_task(publisher.publish("gift-list:2", -1))])
            first_waits.set()
            await asyncio.gather(*publishing)
        server.shutdown()
    assert [number for number in stored if number >= 0] == list(range(50))
