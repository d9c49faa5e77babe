"""The same tests against both ways in which a WebSocket is served, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests import servers


@pytest.fixture(params=["asgi", "fast"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How WebSockets are served by every server that the test starts."""
    kind: str = request.param
    monkeypatch.setattr(servers, "websocket_transport", kind)
    return kind


@pytest.fixture
def both_loops() -> None:
    """Only says, to the hook below, that the test runs on both loops."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On uvloop too, where the test is about WebSockets: it reads and writes sockets in its own manner."""
    both = any({"way", "both_loops"} & set(mark.args) for mark in item.iter_markers("usefixtures"))
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    return factories | {"uvloop": uvloop.new_event_loop} if both else factories
