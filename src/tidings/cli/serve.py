"""``tidings serve``: the standalone server, beside a back end in any language."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from starlette.applications import Starlette

from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.observe.logs import configure_logging
from tidings.server import Tidings
from tidings.settings import ENVIRONMENT_PREFIX, Settings

_log = logging.getLogger("tidings.serve")

DRAIN_SECONDS_MAX = 3.0  # how long clients may take to read that they should come back
_WEBSOCKET_BYTES_MAX = 2**31 - 1  # where the limit is off: uvicorn wants a number


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default="8000")] = None,
    secret: Annotated[
        str | None, typer.Option(help="Checks tokens, and makes them; better given as TIDINGS_SECRET.")
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help="Key for publishing over HTTP; KEY@TENANT binds it to a tenant. Repeatable."),
    ] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Make a secret and an API key for this run, and say them.")
    ] = False,
    broker: Annotated[str | None, typer.Option(help="Where events are stored.", show_default="memory")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one needs a broker that they share.")] = 1,
    topics: Annotated[str | None, typer.Option(help="Topic types there are, with commas: gift-list,chat.")] = None,
    allowed_origin: Annotated[
        list[str] | None, typer.Option(help="Origin of pages beside our own. Repeatable.")
    ] = None,
    cookie: Annotated[str | None, typer.Option(help="Name of the cookie that holds a token.")] = None,
    public_key: Annotated[str | None, typer.Option(help="PEM, or its file: checks tokens of another service.")] = None,
    algorithm: Annotated[list[str] | None, typer.Option(help="Signature algorithm that is taken. Repeatable.")] = None,
    audience: Annotated[str | None, typer.Option(help="What a token's aud must be or hold.")] = None,
    issuer: Annotated[str | None, typer.Option(help="What a token's iss must be.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Path of all routes.", show_default="/realtime")] = None,
    limits: Annotated[str | None, typer.Option(help="'off' lifts limits of rate and count, for load tests.")] = None,
    config: Annotated[str | None, typer.Option(help="Settings file.", show_default="tidings.toml")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.", show_default="text")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
) -> None:
    """Serve live updates to browsers, and take events over HTTP.

    Every option is also a variable (TIDINGS_PORT) and a key of tidings.toml; see docs/settings.md.
    """
    if config is not None:
        os.environ[ENVIRONMENT_PREFIX + "CONFIG"] = config
    given: dict[str, Any] = {
        "host": host, "port": port, "secret": secret, "api_keys": api_key or None, "broker": broker,
        "topics": topics, "allowed_origins": allowed_origin or None, "cookie": cookie, "public_key": public_key,
        "algorithms": algorithm or None, "audience": audience, "issuer": issuer, "prefix": prefix,
        "log_format": log_format, "log_level": log_level,
    }  # fmt: skip
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    if dev:
        settings = _with_development_keys(settings)
    elif settings.secret is None and settings.public_key is None:
        raise UsageError("a secret is missing: give --secret or TIDINGS_SECRET, 32 bytes or more, or --dev to try out")
    check_workers(workers, settings.broker)
    if workers > 1:
        raise UsageError(
            "serve is one process: start it several times with the same --broker, each on a port of its own, "
            "behind a proxy"
        )
    settings = settings.model_copy(update={"limits": _limits(settings.limits, limits)})
    configure_logging(settings.log_format, settings.log_level)
    if not access_log:
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # else two lines for each connection
    if limits is not None:
        _log.warning("limits of rate and count are off: for load tests only")
    live = Tidings(settings=settings)
    app = Starlette()
    live.mount(app)
    listener = _listen(settings.host, settings.port)
    server = _Server(_uvicorn_config(app, settings, access_log=access_log), live)
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        sys.exit(130)  # as shells report an interrupt


def check_workers(workers: int, broker: str) -> None:
    """Raise UsageError where several processes would each have events of their own."""
    if workers > 1 and broker == "memory":
        raise UsageError(
            f"--workers {workers} needs a broker that processes share, named by TIDINGS_BROKER: with memory each "
            "would have its own events"
        )


def websocket_options(limits: Limits) -> dict[str, Any]:
    """How uvicorn treats WebSockets: our frame limit, our heartbeat, and no compression.

    permessage-deflate costs 64 KB and more a connection, and opens it to bombs and CRIME.
    """
    silence_seconds = limits.silence_seconds - limits.heartbeat_seconds if limits.silence_seconds else None
    return {
        "ws_per_message_deflate": False,
        "ws_max_size": limits.frame_bytes or _WEBSOCKET_BYTES_MAX,
        "ws_ping_interval": limits.heartbeat_seconds or None,
        "ws_ping_timeout": silence_seconds or None,
    }


class _Server(uvicorn.Server):
    """Says when it is ready, and sends the clients away in order when it stops."""

    def __init__(self, config: uvicorn.Config, live: Tidings) -> None:
        super().__init__(config)
        self._live = live
        self._interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._interrupted = self._interrupted or sig == signal.SIGINT  # somebody at a terminal does not want to wait
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            url = _url(sockets[0])
            prefix = self._live.settings.prefix
            socket_url = f"ws{url.removeprefix('http')}{prefix}/ws"
            print(f"Ready on {url}{prefix} (WebSocket: {socket_url})", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new, while those that are here move at their own moments
        draining = asyncio.ensure_future(
            self._live.drain(0 if self._interrupted else self._live.settings.drain_seconds)
        )
        while not draining.done() and not self._interrupted:
            await asyncio.wait([draining], timeout=0.2)  # a second signal may cut it short
        draining.cancel()
        await self._live.close()
        if self.server_state.tasks:  # the connections, each ends when its close frame is out
            await asyncio.wait(self.server_state.tasks, timeout=DRAIN_SECONDS_MAX)
        await super().shutdown(sockets)


def _uvicorn_config(app: Starlette, settings: Settings, *, access_log: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        **websocket_options(settings.limits),
        lifespan="on",
        log_config=None,
        access_log=access_log,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def _with_development_keys(settings: Settings) -> Settings:
    made = {
        "secret": settings.secret or (None if settings.public_key else secrets.token_urlsafe(32)),
        "api_keys": settings.api_keys or (secrets.token_urlsafe(16),),
    }
    if made["secret"] != settings.secret:
        print(f"Made for this run: --secret {made['secret']}", file=sys.stderr)
    if made["api_keys"] != settings.api_keys:
        print(f"Made for this run: --api-key {made['api_keys'][0]}", file=sys.stderr)  # type: ignore[index]
    return settings.model_copy(update=made)


def _limits(limits: Limits, option: str | None) -> Limits:
    if option is None:
        return limits
    if option != "off":
        raise UsageError(
            f"--limits can only be off; a single limit is a variable, such as {ENVIRONMENT_PREFIX}LIMIT_CONNECTIONS"
        )
    return limits.without_rates()


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything else starts. Raises UsageError where the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        # The numbers of failed name look-ups are negative, and not the system's.
        why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        raise UsageError(f"cannot listen on {host}:{port}: {why}") from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
