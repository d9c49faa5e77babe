"""One address from the application, one for each transport."""

from __future__ import annotations

import pytest

from tidings.client.addresses import parse_address


@pytest.mark.parametrize(
    ("url", "websocket", "target"),
    [
        ("http://localhost:8000", "ws://localhost:8000/realtime/ws", "/realtime/sse?ids=0"),
        ("https://a.example/", "wss://a.example/realtime/ws", "/realtime/sse?ids=0"),
        ("https://a.example/live", "wss://a.example/live/ws", "/live/sse?ids=0"),
        ("wss://a.example/realtime/ws", "wss://a.example/realtime/ws", "/realtime/sse?ids=0"),
        ("ws://a.example/ws", "ws://a.example/realtime/ws", "/realtime/sse?ids=0"),
        ("https://a.example/live?shard=1", "wss://a.example/live/ws?shard=1", "/live/sse?shard=1&ids=0"),
        ("https://[::1]:8443/live", "wss://[::1]:8443/live/ws", "/live/sse?ids=0"),
        ("https://a.example/caf\u00e9/b c", "wss://a.example/caf%C3%A9/b%20c/ws", "/caf%C3%A9/b%20c/sse?ids=0"),
        ("https://b\u00fccher.example", "wss://xn--bcher-kva.example/realtime/ws", "/realtime/sse?ids=0"),
        ("https://ana:p%40ss@a.example", "wss://ana:p%40ss@a.example/realtime/ws", "/realtime/sse?ids=0"),
    ],
)
def test_addresses(url: str, websocket: str, target: str) -> None:
    address = parse_address(url)
    assert (address.websocket, address.target("sse", "ids=0")) == (websocket, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://a.example",
        "https://",
        "http://a.example:port",
        "http://a.example:99999",
        "/realtime",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        parse_address(url)


def test_what_is_dialled_and_sent() -> None:
    address = parse_address("https://ana:p%40ss@a.example")
    assert (address.port_number, parse_address("ws://a.example").port_number) == (443, 80)
    assert address.authority == "a.example", "no password in the header Host"
    assert address.text == "https://a.example/realtime", "nor in what people read"
    assert address.basic == "Basic YW5hOnBAc3M="
    assert parse_address("https://a.example").basic is None
