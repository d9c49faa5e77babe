"""What a hostile client may send to open a WebSocket, and on it: for the tests that ask several servers the same."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.raw_websocket import close, frame, handshake, text

ORIGINS = [
    "http://HOST", "http://HOST/", "HTTP://HOST", "https://HOST", "http://127.0.0.1", "http://127.0.0.1:1", "null", "",
    "http://evil.example", "https://app.example.com", "https://app.example.com:443", "https://app.example.com.",
    "https://APP.example.com", "https://app.example.com.evil.example", "https://evilapp.example.com",
    "https://app.example.com@evil.example", "https://evil.example#app.example.com", "http://app.example.com",
    "https://app.example.com`", "https://app.example.com$.evil.example", "http://localhost:3000", "*",
    "http://[::1]:3000", "https://xn--app-example.com", "file://", "http://HOST, http://evil.example", "\xe4",
]  # fmt: skip
COOKIE: dict[str, str | None] = {"Cookie": "session=ana"}
TOKENLESS = "/realtime/ws"

HANDSHAKES: dict[str, bytes] = {
    "good": handshake(),
    "a bad token": handshake("/realtime/ws?token=bad"),
    "two tokens": handshake("/realtime/ws?token=ana&token=ben"),
    "an empty token": handshake("/realtime/ws?token=", COOKIE | {"Origin": "http://HOST"}),
    "a token in capitals": handshake("/realtime/ws?TOKEN=ana", COOKIE | {"Origin": "http://HOST"}),
    "a token with escapes": handshake("/realtime/ws?token=a%20b%2Bc+d%00"),
    "a token with a question mark": handshake("/realtime/ws?token=a?token=b"),
    "too many parameters": handshake("/realtime/ws?token=ana" + "&x=1" * 40),
    "a long token": handshake("/realtime/ws?token=" + "x" * 4_000),
    "no GET": handshake(line="POST {} HTTP/1.1"),
    "HEAD": handshake(line="HEAD {} HTTP/1.1"),
    "a method of its own": handshake(line="UPGRADE {} HTTP/1.1"),
    "HTTP/1.0": handshake(line="GET {} HTTP/1.0"),
    "HTTP/3": handshake(line="GET {} HTTP/3.0"),
    "no version": handshake(line="GET {}"),
    "keep-alive": handshake(changed={"Connection": "keep-alive, Upgrade"}),
    "lower case": handshake(changed={"Connection": "upgrade", "Upgrade": "WEBSOCKET"}),
    "no upgrade": handshake(changed={"Upgrade": None}),
    "no connection": handshake(changed={"Connection": None}),
    "two upgrades": handshake(changed={"Upgrade": "h2c, websocket"}),
    "connection twice": handshake(more="Connection: keep-alive\r\n"),
    "no key": handshake(changed={"Sec-WebSocket-Key": None}),
    "a short key": handshake(changed={"Sec-WebSocket-Key": "c2hvcnQ="}),
    "a key that is no base64": handshake(changed={"Sec-WebSocket-Key": "!" * 24}),
    "a key that is not ASCII": handshake(changed={"Sec-WebSocket-Key": "\xe4" * 24}),
    "two keys": handshake(more="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
    "no version of the protocol": handshake(changed={"Sec-WebSocket-Version": None}),
    "an old version": handshake(changed={"Sec-WebSocket-Version": "8"}),
    "two versions": handshake(changed={"Sec-WebSocket-Version": "13, 8"}),
    "the version twice": handshake(more="Sec-WebSocket-Version: 13\r\n"),
    "deflate": handshake(changed={"Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=10"}),
    "rubbish for extensions": handshake(changed={"Sec-WebSocket-Extensions": "permessage-deflate; server_max_w"}),
    "a subprotocol": handshake(changed={"Sec-WebSocket-Protocol": "chat, superchat"}),
    "a subprotocol that is not ASCII": handshake(changed={"Sec-WebSocket-Protocol": "ch\xe4t"}),
    "a body": handshake(changed={"Content-Length": "5"}) + b"hello",
    "a body of nothing": handshake(changed={"Content-Length": "0"}),
    "a chunked body": handshake(changed={"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n",
    "no host": handshake(changed={"Host": None, "Origin": "http://HOST", **COOKIE}),
    "another host": handshake(TOKENLESS, {"Host": "evil.example", "Origin": "http://HOST", **COOKIE}),
    "a host in its favour": handshake(TOKENLESS, {"Host": "evil.example", "Origin": "http://evil.example", **COOKIE}),
    "two hosts": handshake(TOKENLESS, COOKIE | {"Origin": "http://HOST"}, more="Host: evil.example\r\n"),
    "two origins": handshake(TOKENLESS, COOKIE | {"Origin": "http://HOST"}, more="Origin: http://evil.example\r\n"),
    "two cookies": handshake(TOKENLESS, COOKIE | {"Origin": "http://HOST"}, more="Cookie: session=ben\r\n"),
    "a cookie without an origin": handshake(TOKENLESS, COOKIE),
    "a malformed cookie": handshake(TOKENLESS, {"Cookie": "session=a\"; ;=;session", "Origin": "http://HOST"}),
    "another cookie": handshake(TOKENLESS, {"Cookie": "sessions=ana", "Origin": "http://evil.example"}),
    "a bearer": handshake(TOKENLESS, {"Authorization": "Bearer ana"}),
    "a bearer in capitals": handshake(TOKENLESS, {"AUTHORIZATION": "BEARER  ana "}),
    "basic": handshake(TOKENLESS, {"Authorization": "Basic YW5hOmFuYQ==", **COOKIE, "Origin": "http://HOST"}),
    "a bearer and a token": handshake(changed={"Authorization": "Bearer ben"}),
    "through a proxy": handshake(changed={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}),
    "through proxies": handshake(changed={"X-Forwarded-For": "1.1.1.1, 203.0.113.9, 127.0.0.1"}),
    "a proxy with a port": handshake(changed={"X-Forwarded-For": "203.0.113.9:4711"}),
    "a proxy twice": handshake(changed={"X-Forwarded-For": "1.1.1.1"}, more="X-Forwarded-For: 2.2.2.2\r\n"),
    "TLS at the proxy": handshake(
        TOKENLESS, {**COOKIE, "Host": "a.example", "Origin": "https://a.example", "X-Forwarded-Proto": "https"}
    ),
    "no TLS at the proxy": handshake(
        TOKENLESS, {**COOKIE, "Host": "a.example", "Origin": "https://a.example", "X-Forwarded-Proto": "http"}
    ),
    "many headers": handshake(more="X-Many: y\r\n" * 1_000),
    "a large header": handshake(changed={"X-Large": "x" * 60_000}),
    "a folded header": handshake(more="X-Folded: a\r\n b\r\n"),
    "a header without a colon": handshake(more="nothing\r\n"),
    "a header without a name": handshake(more=": x\r\n"),
    "a space before the colon": handshake(more="X-Space : x\r\n"),
    "a zero byte": handshake(changed={"X-Zero": "a\0b"}),
    "a bare line feed": handshake(changed={"X-Bare": "a\nSec-WebSocket-Key: x"}),
    "a bare carriage return": handshake(changed={"X-Bare": "a\rb"}),
    **{
        f"the target {target}": handshake(target)
        for target in (
            "http://evil.example/realtime/ws?token=ana", "http://HOST/realtime/ws?token=ana", "*", "/", "",
            "//realtime/ws?token=ana", "/realtime//ws?token=ana", "/realtime/ws/?token=ana", "/realtime/../realtime/ws",
            "/realtime%2fws?token=ana", "/realtime/%77s?token=ana", "/%72ealtime/ws?token=ana",
            "/REALTIME/ws?token=ana",
            "/realtime/ws;x?token=ana", "/realtime/ws#x?token=ana", "/realtime/ws%00?token=ana", "/realtime/w\xe4s",
            "/realtime/ws%3Ftoken=ana", "/realtime/sse?token=ana", "/realtime/publish", "/realtime/ws?token=ana#x",
            "realtime/ws?token=ana", "/realtime\\ws", "/realtime/ws token",
        )
    },
    **{
        f"the origin {origin}": handshake(TOKENLESS, COOKIE | {"Origin": origin})
        for origin in ORIGINS
    },
    **{
        f"the origin {origin}, with a token": handshake(changed={"Origin": origin})
        for origin in ORIGINS
    },
}  # fmt: skip


@dataclass
class Conversation:
    """What a client sends after the handshake, piece by piece."""

    pieces: list[bytes]
    target: str = "/realtime/ws?token=ana"
    ends: bool = field(default=True)  # whether the server closes by itself


SUBSCRIBE = {"type": "subscribe", "topics": ["gift-list:1"], "id": 1}
PING = {"type": "ping", "id": "p"}
CONVERSATIONS: dict[str, Conversation] = {
    "a ping": Conversation([text(PING)], ends=False),
    "a protocol ping": Conversation([frame(9, b"abc")], ends=False),
    "a protocol ping of 125 bytes": Conversation([frame(9, b"x" * 125)], ends=False),
    "an unasked pong": Conversation([frame(10, b"abc"), text(PING)], ends=False),
    "two in one piece": Conversation([text(SUBSCRIBE) + text(PING)], ends=False),
    "in fragments": Conversation(
        [text('{"type":', fin=False) + frame(0, b'"ping"', fin=False) + frame(0, b"}")], ends=False
    ),
    "a ping within fragments": Conversation(
        [text('{"type":', fin=False) + frame(9, b"x") + frame(0, b'"ping"}')], ends=False
    ),
    "rubbish": Conversation([text("rubbish")], ends=False),
    "an empty text": Conversation([text("")], ends=False),
    "too much rubbish": Conversation([text("rubbish")] * 5),
    "not masked": Conversation([frame(1, b"{}", masked=False)]),
    "a ping that is not masked": Conversation([frame(9, b"", masked=False)]),
    "a binary frame": Conversation([frame(2, b"\0\1")]),
    "an empty binary frame": Conversation([frame(2)]),
    "a binary message in fragments": Conversation([frame(2, b"a", fin=False) + frame(0, b"b")]),
    "a continuation of nothing": Conversation([frame(0, b"x")]),
    "a message within another": Conversation([text("a", fin=False) + text("b")]),
    "a ping of 126 bytes": Conversation([frame(9, b"x" * 126)]),
    "a ping in fragments": Conversation([frame(9, b"x", fin=False)]),
    "text that is not UTF-8": Conversation([frame(1, b"\xc3\x28")]),
    "UTF-8 cut by a fragment": Conversation([frame(1, b"\xc3", fin=False) + frame(0, b"\xa4")], ends=False),
    "no UTF-8 in fragments": Conversation([frame(1, b"\xc3", fin=False) + frame(0, b"\x28")]),
    "UTF-8 that has no end": Conversation([frame(1, b"\xe2\x82")]),
    "a frame too large": Conversation([text("x" * 2_001)]),
    "the header of a frame too large": Conversation([text("x" * 100_000)[:14]]),
    "fragments too large": Conversation([text("x" * 1_500, fin=False) + frame(0, b"x" * 501)]),
    "a length with its top bit": Conversation([b"\x81\xff" + b"\xff" * 8 + b"abcd"]),
    "a length of 2^63 - 1": Conversation([b"\x81\xff\x7f" + b"\xff" * 7 + b"abcd"]),
    **{f"a reserved bit {bit:x}": Conversation([frame(1, b"{}", first=bit)]) for bit in (0x40, 0x20, 0x10)},
    **{f"opcode {code}": Conversation([frame(code, b"x")]) for code in (3, 7, 11, 15)},
    **{f"closing with {code}": Conversation([close(code)]) for code in (1000, 1001, 1007, 1011, 3000, 4000, 4999)},
    **{
        f"closing with {code}, which may not be": Conversation([close(code)])
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)
    },
    "closing without a code": Conversation([frame(8)]),
    "closing with half a code": Conversation([frame(8, b"\x03")]),
    "closing with a reason that is not UTF-8": Conversation([frame(8, b"\x03\xe8\xff")]),
    "closing, then a message": Conversation([close() + text(PING)]),
    "closing, then rubbish": Conversation([close() + b"\xff" * 50]),
    "closing twice": Conversation([close() + close(1001)]),
    "a new token": Conversation([text({"type": "auth", "token": "ana by query"})]),
    "a bad new token": Conversation([text({"type": "auth", "token": "bad", "id": 9})], ends=False),
    "no auth first": Conversation([text(SUBSCRIBE)], TOKENLESS),
    "a bad token in a message": Conversation([text({"type": "auth", "token": "bad"})], TOKENLESS),
    "a token in a message": Conversation([text({"type": "auth", "token": "ben"})], TOKENLESS, ends=False),
    "a first frame too large": Conversation([text({"type": "auth", "token": "b" * 200})], TOKENLESS),
    "rubbish first": Conversation([text("rubbish")], TOKENLESS),
    "a binary frame first": Conversation([frame(2, b"x")], TOKENLESS),
}  # fmt: skip
