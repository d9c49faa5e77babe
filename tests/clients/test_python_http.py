"""The client's requests over HTTP against servers that behave as servers do: they close, chunk, lie and encrypt."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette

from tests.clients.python_rig import LIST, SECRET, Reader, server, subscribed, token, until
from tests.servers import serving
from tidings import Settings
from tidings.client import ConnectionEnded, Live, Status, connect
from tidings.client.addresses import Address, parse_address
from tidings.client.machine import Options
from tidings.client.transports.http import HTTP_FAULTS, BadAnswer, HttpClient
from tidings.client.transports.refusals import refusal_of
from tidings.server import Tidings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Script:
    """A server that answers its nth request by the nth of these; None closes the connection instead."""

    answers: list[bytes | None]
    closes_after_each: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    return
                writer.write(answer)
                if self.closes_after_each:
                    return
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    @property
    def address(self) -> Address:
        return parse_address(f"http://127.0.0.1:{self.port}")


@asynccontextmanager
async def scripted(*answers: bytes | None, closes_after_each: bool = False) -> AsyncIterator[tuple[Script, HttpClient]]:
    script = Script(list(answers), closes_after_each)
    listener = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = listener.sockets[0].getsockname()[1]
    http = HttpClient(script.address)
    try:
        yield script, http
    finally:
        await http.close()
        listener.close()
        await listener.wait_closed()


async def ask(http: HttpClient, token: str | None = None) -> tuple[int, bytes]:
    async with asyncio.timeout(5), http.post("poll", {"n": 1}, token) as response:
        return response.status, await response.body(1_000)


async def test_a_connection_is_kept_for_the_next_request() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    async with scripted(OK, chunked, hints + OK) as (script, http):
        assert [await ask(http, "t") for _ in range(3)] == [(200, b"{}")] * 3
        assert script.connections == 1
        head, _, body = script.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /realtime/poll HTTP/1.1\r\n")
        assert b"Authorization: Bearer t" in head
        assert json.loads(body) == {"n": 1}


@pytest.mark.parametrize("closes_after_each", [True, False])
async def test_one_that_was_closed_meanwhile_is_replaced(closes_after_each: bool) -> None:
    """Known to be closed, or found out only by asking: a server may close at any time between two requests."""
    answers = [OK, OK] if closes_after_each else [OK, None, OK]
    async with scripted(*answers, closes_after_each=closes_after_each) as (script, http):
        assert await ask(http) == (200, b"{}")
        await asyncio.sleep(0)
        assert await ask(http) == (200, b"{}")
        assert script.connections == 2


async def test_a_new_one_that_is_closed_is_a_fault_and_no_reason_to_repeat() -> None:
    async with scripted(None, OK) as (script, http):
        with pytest.raises(HTTP_FAULTS):
            await ask(http)
        assert len(script.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",  # cut
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000,  # more than was asked for
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        b"",
    ],
)
async def test_what_is_no_answer_is_a_fault_and_its_connection_is_not_kept(answer: bytes) -> None:
    async with scripted(answer, OK, closes_after_each=True) as (script, http):
        with pytest.raises(HTTP_FAULTS):
            await ask(http)
        assert await ask(http) == (200, b"{}")
        assert script.connections == 2


async def test_too_much_is_named() -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2_000) as (_, http):
        with pytest.raises(BadAnswer, match="larger than 1000 bytes"):
            await ask(http)


async def test_who_goes_away_in_the_midst_leaves_no_half_read_connection() -> None:
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", OK) as (script, http):
        async with http.post("sse", {}, None) as response:
            assert await response.read() == b"half"
        assert await ask(http) == (200, b"{}")
        assert script.connections == 2


@pytest.mark.parametrize(
    ("status", "headers", "body", "close_code", "code", "retry_after_ms"),
    [
        (401, "", '{"error":{"code":"token_expired","message":"old"}}', 4401, "token_expired", None),
        (401, "", "<html>", 4401, "unavailable", None),
        (403, "", '{"error":{"code":"origin_forbidden"}}', 4403, "origin_forbidden", None),
        (403, "", "<html>", None, "unavailable", None),  # a proxy's: another transport may do better
        (429, "Retry-After: 7\r\n", '{"error":{"code":"rate_limited"}}', 4429, "rate_limited", 7_000),
        (503, "Retry-After: 1.5\r\n", "<html>", 4503, "unavailable", 1_500),
        (503, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "<html>", None, "unavailable", None),
        (502, "", '{"error":{"code":"internal"}}', None, "internal", None),
        (302, "Location: https://elsewhere.example/\r\n", "", None, "unavailable", None),
        (200, "", '{"error":5}', None, "unavailable", None),
    ],
)
async def test_what_a_status_says(
    status: int, headers: str, body: str, close_code: int | None, code: str, retry_after_ms: float | None
) -> None:
    answer = f"HTTP/1.1 {status} x\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()
    async with scripted(answer) as (_, http), http.post("sse", {}, None) as response:
        refusal = await refusal_of(response)
    assert (refusal.close_code, refusal.code, refusal.retry_after_ms) == (close_code, code, retry_after_ms)
    assert refusal.message == ("old" if code == "token_expired" else None)
    assert refusal.cause in ("old", f"the server answered HTTP {status}")


def stream(*records: str) -> bytes:
    """An event stream that goes on."""
    body = "".join(f"{record}\n\n" for record in records).encode()
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    return b"%b%x\r\n%b\r\n" % (head.encode(), len(body), body)


WELCOME = 'data: {"type":"welcome","topic":"system","session":"s/1","heartbeat_seconds":25}'


@pytest.mark.parametrize(
    ("record", "state", "reason", "code"),
    [
        ('event: close\ndata: {"code":4403,"reason":"no"}', "blocked", "forbidden", 4403),
        ('event: close\ndata: {"code":1012}', "reconnecting", "restart", 1012),
        ("event: close\ndata: rubbish", "reconnecting", "lost", None),
        ('event: close\ndata: {"code":"4403"}', "reconnecting", "lost", None),
    ],
)
async def test_the_last_record_of_a_stream_is_its_close_code(
    record: str, state: str, reason: str, code: int | None
) -> None:
    async with scripted(stream(WELCOME, record)) as (script, _):
        async with connect(script.address.text, transports=["sse"]) as live:
            seen: list[Status] = []
            live.on_status(seen.append)
            live.reconnect()
            await until(lambda: seen and seen[-1].state == state)
            assert [status.state for status in seen] == ["connecting", "live", state]
            assert (seen[-1].reason, seen[-1].code) == (reason, code)


async def test_what_is_no_stream_is_not_listened_to() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<html\r\n"
    async with (
        scripted(page) as (script, _),
        connect(script.address.text, transports=["sse"], attempts_limit=0) as live,
    ):
        with pytest.raises(ConnectionEnded, match="no event stream"):
            async with asyncio.timeout(5):
                await live.wait_live()


@pytest.mark.parametrize("transport", ["sse", "poll"])
async def test_a_server_that_asks_for_patience_gets_it(transport: str) -> None:
    body = b'{"error":{"code":"rate_limited","message":"too many"}}'
    answer = b"HTTP/1.1 429 x\r\nRetry-After: 60\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with scripted(answer) as (script, _):
        async with connect(script.address.text, transports=[transport]) as live:
            reader = Reader(live, LIST)
            await until(lambda: live.status.state == "reconnecting")
            assert (live.status.reason, live.status.code) == ("slow_down", 4429)
            assert live.status.next_try_at is not None
            assert 55 < live.status.next_try_at - time.time() < 62
        await reader.task


async def test_a_stream_that_is_kept_back_names_the_header(caplog: pytest.LogCaptureFixture) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with scripted(*[head] * 3) as (script, _):
        options = Options(transports=("sse",), connect_ms=100, backoff_cap_ms=1, attempts_limit=2)
        async with Live(script.address, None, options) as live:
            with pytest.raises(ConnectionEnded, match="X-Accel-Buffering: no"):
                await live.wait_live()
    assert script.connections == 3
    warnings = [record for record in caplog.records if record.message.startswith("The event stream opened")]
    assert len(warnings) == 1, "once, however often it is dialled"


async def test_a_session_that_is_elsewhere_is_moved_from() -> None:
    """404: another worker has it. A new stream follows within a second, with the positions."""
    subscribed_to = (
        'data: {"type":"subscribed","topic":"system","topics":{"gift-list:1":{"cursor":"k-7","recovered":true}},"id":1}'
    )
    elsewhere = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with scripted(stream(WELCOME, subscribed_to), elsewhere, stream(WELCOME), elsewhere) as (script, _):
        async with connect(script.address.text, transports=["sse"]) as live:
            first = Reader(live, LIST)
            await subscribed(live)
            second = Reader(live, "gift-list:2")
            await until(lambda: len(script.requests) == 3)
            assert script.requests[1].startswith(b"POST /realtime/session/s%2F1 ")
            asked = json.loads(script.requests[2].partition(b"\r\n\r\n")[2])
            assert (sorted(asked["topics"]), asked["since"]) == ([LIST, "gift-list:2"], {LIST: "k-7"})
        await asyncio.wait([first.task, second.task])


# The whole client where the way to the server is another one.


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For 127.0.0.1, and trusted by this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_https(transport: str, certificate: Path) -> None:
    tidings = Tidings(settings=Settings(secret=SECRET))
    app = Starlette()
    tidings.mount(app)
    async with serving(app, ssl_certfile=certificate) as address:
        url = f"https://127.0.0.1:{address.port}"
        async with connect(url, token=token(), transports=[transport]) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
            await tidings.publish(LIST, "ADDED", entity_id="a")
            assert await reader.until(1) == ["a"]


@pytest.mark.parametrize("transport", ["sse", "poll"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    transport: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    listener = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=_server_context(certificate)
    )
    async with listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with connect(url, token=token(), transports=[transport], attempts_limit=0) as live:
            with pytest.raises(Exception, match="certificate verify failed"):
                await live.wait_live()


def _server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


class Tunnels:
    """A proxy that knows CONNECT only."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            writer.write(self._answer)
            if b" 200 " not in self._answer:
                return
            host, _, port = head.split()[1].rpartition(":")
            far, far_writer = await asyncio.open_connection(host, int(port))
            try:
                await asyncio.wait(
                    [asyncio.ensure_future(_copy(reader, far_writer)), asyncio.ensure_future(_copy(far, writer))],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                far_writer.close()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except OSError:
        return


@asynccontextmanager
async def proxied(
    monkeypatch: pytest.MonkeyPatch, tunnels: Tunnels, scheme: str = "http"
) -> AsyncIterator[Callable[[], list[str]]]:
    listener = await asyncio.start_server(tunnels.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"{scheme}://ana:p%40ss@127.0.0.1:{port}")
    try:
        yield lambda: tunnels.asked
    finally:
        listener.close()


@pytest.mark.parametrize("transport", ["sse", "poll"])
async def test_through_the_proxy_of_the_environment(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as (tidings, url, port), proxied(monkeypatch, Tunnels()) as asked:
        async with connect(url, token=token(), transports=[transport]) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
            await tidings.publish(LIST, "ADDED", entity_id="a")
            assert await reader.until(1) == ["a"]
        assert asked()[0].startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic YW5hOnBAc3M=\r\n" in asked()[0]


@pytest.mark.parametrize("transport", ["sse", "poll"])
async def test_https_through_a_proxy(transport: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tidings = Tidings(settings=Settings(secret=SECRET))
    app = Starlette()
    tidings.mount(app)
    async with serving(app, ssl_certfile=certificate) as address, proxied(monkeypatch, Tunnels()) as asked:
        url = f"https://127.0.0.1:{address.port}"
        async with connect(url, token=token(), transports=[transport]) as live:
            reader = Reader(live, LIST)
            await subscribed(live)
            await tidings.publish(LIST, "ADDED", entity_id="a")
            assert await reader.until(1) == ["a"]
        assert asked()


@pytest.mark.parametrize(
    ("scheme", "answer", "said"),
    [
        ("http", b"HTTP/1.1 407 Authenticate\r\nContent-Length: 0\r\n\r\n", "the proxy answered HTTP 407"),
        ("http", b"", "the proxy closed the connection"),
        ("socks5", b"", "socks5://127.0.0.1 is not one that speaks plain HTTP"),
    ],
)
async def test_a_proxy_that_refuses(scheme: str, answer: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as (_, url, _), proxied(monkeypatch, Tunnels(answer), scheme):
        async with connect(url, token=token(), transports=["sse"], attempts_limit=0) as live:
            with pytest.raises(Exception, match=said):
                await live.wait_live()


async def test_no_proxy_goes_round_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server() as (_, url, _), proxied(monkeypatch, Tunnels()) as asked:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with connect(url, token=token(), transports=["sse"]) as live:
            await live.wait_live()
        assert asked() == []


def test_uvloop_is_tested_too() -> None:
    """``tidings serve`` and many applications run on it; its streams differ in small ways."""

    async def follow() -> list[str]:
        async with server() as (tidings, url, _):
            seen = []
            for transport in ("websocket", "sse", "poll"):
                async with connect(url, token=token(), transports=[transport]) as live:
                    reader = Reader(live, LIST)
                    await subscribed(live)
                    await tidings.publish(LIST, "ADDED", entity_id=transport)
                    seen += await reader.until(1)
            return seen

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(follow()) == ["websocket", "sse", "poll"]
