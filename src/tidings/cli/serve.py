"""``tidings serve``: the standalone server, beside a back end in any language."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer
import uvicorn
from starlette.applications import Starlette

from tidings.cli.draining import DrainingServer
from tidings.cli.listening import listen, reserve, url_of
from tidings.cli.outbox_database import relay_of
from tidings.cli.webhooks import Webhooks
from tidings.cli.workers import INTERRUPTED_STATUS, Ready, Workers
from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.http import any_other_address
from tidings.observe.logs import configure_logging
from tidings.ports import Source
from tidings.server import Tidings
from tidings.settings import ENVIRONMENT_PREFIX, Settings
from tidings.transports.guarded_http import GuardedHttpProtocol
from tidings.transports.websocket_fast import WebSocketProtocol

_log = logging.getLogger("tidings.serve")

GRACEFUL_SECONDS = 10  # how long requests that are under way at the end may take
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
    outbox: Annotated[str | None, typer.Option(help="Database whose outbox is published.")] = None,
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
    websocket: Annotated[str | None, typer.Option(help="fast or asgi.", show_default="fast")] = None,
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
        "host": host, "port": port, "secret": secret, "api_keys": api_key or None, "broker": broker, "outbox": outbox,
        "topics": topics, "allowed_origins": allowed_origin or None, "cookie": cookie, "public_key": public_key,
        "algorithms": algorithm or None, "audience": audience, "issuer": issuer, "prefix": prefix,
        "websocket": websocket, "log_format": log_format, "log_level": log_level,
    }  # fmt: skip
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    if dev:
        settings = _with_development_keys(settings)
    elif settings.secret is None and settings.public_key is None and not Webhooks(settings).knows_users:
        raise UsageError("a secret is missing: give --secret or TIDINGS_SECRET, 32 bytes or more, or --dev to try out")
    check_workers(workers, settings.broker)
    settings = settings.model_copy(update={"limits": _limits(settings.limits, limits)})
    service = Service(settings, access_log=access_log)
    service.configure_logging()
    if limits is not None:
        _log.warning("limits of rate and count are off: for load tests only")
    if workers > 1:
        Tidings(
            settings=settings, **Webhooks(settings).arguments
        )  # what is wrong with the settings is told before a process starts
        with reserve(settings.host, settings.port) as held:
            sys.exit(_work_together(service, workers, held))
    listener = listen(settings.host, settings.port)
    try:
        service.run(listener, lambda _: _announce(listener, settings.prefix))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)


@dataclass(frozen=True)
class Service:
    """What one process serves."""

    settings: Settings
    access_log: bool

    def configure_logging(self) -> None:
        """One format for our lines and uvicorn's."""
        configure_logging(self.settings.log_format, self.settings.log_level)
        if not self.access_log:
            logging.getLogger("uvicorn.error").setLevel(logging.WARNING)  # else two lines for each connection

    def run(self, listener: socket.socket, on_ready: Ready) -> None:
        """Serve until a signal says to stop, and drain."""
        webhooks, app = Webhooks(self.settings), Starlette()
        live = Tidings(settings=self.settings, outbox=self._outbox(), **webhooks.arguments)
        live.mount(app)
        webhooks.close_with(app)
        app.router.routes.append(any_other_address(self.settings.prefix))
        config = uvicorn.Config(
            app,
            **websocket_options(self.settings.limits),
            http=GuardedHttpProtocol,
            ws=websocket_class(self.settings),
            lifespan="on",
            log_config=None,
            access_log=self.access_log,
            server_header=False,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
        DrainingServer(config, on_ready=on_ready).run(sockets=[listener])

    def _outbox(self) -> Source | None:
        return None if self.settings.outbox is None else relay_of(self.settings.outbox)


def _work_together(service: Service, count: int, held: socket.socket) -> int:
    settings = service.settings
    work = partial(_work, service, settings.host, held.getsockname()[1])
    return Workers(work, count, on_ready=lambda: _announce(held, settings.prefix)).run()


def _work(service: Service, host: str, port: int, on_ready: Ready) -> None:
    """One worker of several, in a process of its own."""
    service.configure_logging()
    service.run(listen(host, port, shared=True), on_ready)


def _announce(listener: socket.socket, prefix: str) -> None:
    url = url_of(listener)
    print(f"Ready on {url}{prefix} (WebSocket: ws{url.removeprefix('http')}{prefix}/ws)", flush=True)


def check_workers(workers: int, broker: str) -> None:
    """Raise UsageError where several processes would each have events of their own."""
    if workers > 1 and broker == "memory":
        raise UsageError(
            f"--workers {workers} needs a broker that processes share, named by TIDINGS_BROKER: with memory each "
            "would have its own events"
        )


def websocket_class(settings: Settings) -> Any:
    """What uvicorn is to serve WebSockets with: our own transport, or its own choice."""
    return WebSocketProtocol if settings.websocket == "fast" else "auto"


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
