"""The servers: how each is started, and how a client speaks to it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from bench import build
from bench.peers import tokens

ROOT = build.HERE.parent
TOPIC = "bench:%i"
_EVENT = '"topic":"%T","event":"UPDATED","data":{"entity_id":"gift-7","payload":{"mark":"%M"}}'
_FRAME = f'{{"type":"publish",{_EVENT}}}'
_SUBSCRIBE = '{"type":"subscribe","topics":["%T"]}'


@dataclass(frozen=True)
class Dialect:
    """What a client says; templates and steps as ``bench/load/main.c`` takes them.

    :ivar script: pairs of ``await`` or ``send`` and their text, for subscribers.
    :ivar more: further lines of the plan.
    """

    path: str
    publish: str
    script: Sequence[tuple[str, str]]
    publisher_script: Sequence[tuple[str, str]] = ()
    more: Sequence[tuple[str, str]] = ()

    def plan(self) -> list[str]:
        """The lines of the plan that are the same in every row."""
        lines = [f"path {self.path}", f"topic {TOPIC}", f"publish {self.publish}"]
        lines += [f"{kind} {text}" for kind, text in self.script]
        lines += [f"publisher-{kind} {text}" for kind, text in self.publisher_script]
        return lines + [f"{key} {value}" for key, value in self.more]


_PLAIN = Dialect("/ws?token=%t", _FRAME, [("send", _SUBSCRIBE), ("await", '"subscribed"')])

_TIDINGS = Dialect(
    "/realtime/ws?token=%t", _FRAME, [("send", _SUBSCRIBE), ("await", '"subscribed"')], [("await", '"welcome"')]
)

_CENTRIFUGE = Dialect(
    "/connection/websocket",
    f'{{"id":9,"publish":{{"channel":"%T","data":{{{_EVENT}}}}}}}',
    [
        ("send", '{"id":1,"connect":{"token":"%t"}}'),
        ("await", '"connect":{'),
        ("send", '{"id":2,"subscribe":{"channel":"%T"}}'),
        ("await", '"subscribe":{'),
    ],
    [("send", '{"id":1,"connect":{"token":"%t"}}'), ("await", '"connect":{')],
    [("ping", "{}"), ("pong", "{}")],
)

_SOCKET_IO = Dialect(
    "/socket.io/?EIO=4&transport=websocket&token=%t",
    f'42["publish",{{{_EVENT}}}]',
    [("await", "0{"), ("send", "40"), ("await", "40{"), ("send", '42["subscribe","%T"]'), ("await", '"subscribed"')],
    [("await", "0{"), ("send", "40"), ("await", "40{")],
    [("ping", "2"), ("pong", "3")],
)

_LIMIT = Dialect(
    "/",
    '{"publish":"#%T","pad":"%M"}',
    [("send", '{"subscribe":"#%T"}'), ("await", "subscribed")],
    more=[("topic", "%i")],
)


@dataclass(frozen=True)
class Peer:
    """One server of the comparison.

    :ivar command: its command line, for a port and a folder of its own.
    :ivar prepare: builds or installs it; raises Unavailable.
    :ivar recovers: whether it keeps events over ``kill -9``.
    :ivar checks: whether it does a server's work; the limit does not.
    """

    name: str
    title: str
    dialect: Dialect
    command: Callable[[int, Path], Sequence[str]]
    prepare: Callable[[], None] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)
    recovers: bool = False
    checks: bool = True

    def with_environment(self, more: dict[str, str]) -> Peer:
        """The same server with further variables."""
        return replace(self, environment=self.environment | more)


def _tidings(transport: str) -> Callable[[int, Path], Sequence[str]]:
    def command(port: int, folder: Path) -> Sequence[str]:
        broker = f"sqlite:///{folder}/events.sqlite3" if folder.name == "durable" else "memory"
        chosen = ["--websocket", transport] if _has_choice() else []
        return [
            sys.executable, "-m", "tidings.cli.main", "serve", "--port", str(port), "--secret", tokens.SECRET,
            "--limits", "off", "--log-level", "error", "--broker", broker, *chosen,
        ]  # fmt: skip

    return command


@cache
def _has_choice() -> bool:
    answer = subprocess.run(
        [sys.executable, "-m", "tidings.cli.main", "serve", "--help"], capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    return "--websocket" in answer.stdout


def _fast_only() -> None:
    if not _has_choice():
        raise build.Unavailable("tidings serve has no --websocket fast")


def _module(name: str, python: str = sys.executable) -> Callable[[int, Path], Sequence[str]]:
    return lambda port, folder: [python, "-m", f"bench.peers.{name}", str(port)]


def _node(name: str) -> Callable[[int, Path], Sequence[str]]:
    return lambda port, folder: ["node", str(build.PEERS / f"{name}.cjs"), str(port)]


def _limit(*mode: str) -> Callable[[int, Path], Sequence[str]]:
    return lambda port, folder: [str(build.LIMIT), str(port), *mode]


_NODE = {"NODE_PATH": str(build.NODE_MODULES), "NODE_ENV": "production"}
_WITH_PEERS = str(build.PYTHON)

PEERS: tuple[Peer, ...] = (
    Peer("limit", "The limit: C, one write a delivery", _LIMIT, _limit(), checks=False),
    Peer("limit-joined", "The limit: C, writes of one turn joined", _LIMIT, _limit("joined"), checks=False),
    Peer("tidings", "Tidings, fast transport", _TIDINGS, _tidings("fast"), _fast_only, recovers=True),
    Peer("tidings-asgi", "Tidings, any ASGI server", _TIDINGS, _tidings("asgi"), recovers=True),
    Peer("uws", "uWebSockets (socketify)", _PLAIN, _module("uws_socketify", _WITH_PEERS), build.python),
    Peer("centrifuge", "Centrifuge (Go)", _CENTRIFUGE, lambda port, folder: [str(build.CENTRIFUGE), str(port)],
         build.centrifuge),
    Peer("ws", "ws (Node)", _PLAIN, _node("ws_node"), build.node, _NODE),
    Peer("socketio", "Socket.IO (Node)", _SOCKET_IO, _node("socketio_node"), build.node, _NODE),
    Peer("uvicorn", "uvicorn alone, ASGI", _PLAIN, _module("uvicorn_plain")),
    Peer("socketio-python", "python-socketio", _SOCKET_IO, _module("socketio_python", _WITH_PEERS), build.python),
    Peer("seed", "A ConnectionManager on FastAPI", _PLAIN, _module("seed_manager")),
)  # fmt: skip


def reopening() -> list[str]:
    """The lines of a plan for clients of Tidings that come back with their cursors."""
    subscribe = '{"type":"subscribe","topics":["%T"],"since":{"%T":"%c"}}'
    acknowledged = _FRAME.removesuffix("}") + ',"id":1}'
    return [
        f"reopen-send {subscribe}", 'reopen-await "subscribed"', 'cursor-key "cursor":"',
        'unrecovered "recovered":false', 'acknowledged "published"', f"publish {acknowledged}",
    ]  # fmt: skip
