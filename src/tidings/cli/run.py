"""``tidings run``: your own application on uvicorn, with the options that live updates want."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import click
import typer
import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.main import main as uvicorn_command
from uvicorn.supervisors import ChangeReload

from tidings.cli.draining import DrainingServer
from tidings.cli.listening import listen, reserve, url_of
from tidings.cli.serve import check_workers, websocket_class, websocket_options
from tidings.cli.workers import USAGE_STATUS, Ready, Workers
from tidings.core.errors import UsageError
from tidings.observe.logs import redact_uvicorn
from tidings.settings import Settings
from tidings.transports.guarded_http import GuardedHttpProtocol

_STARTED = "Uvicorn running on"
_LISTS = ("reload_dirs", "reload_includes", "reload_excludes")  # uvicorn wants None where its command has ()


def run(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Your application, such as main:app.")],
    websocket: Annotated[str | None, typer.Option(help="fast or asgi.", show_default="fast")] = None,
) -> None:
    """Run a FastAPI or Starlette application that has mounted Tidings.

    Takes all options of uvicorn (see uvicorn --help), such as --port 8000 --reload. Compression of WebSocket
    frames is off, and frames and heartbeats keep to Tidings' limits, unless you say otherwise. On SIGTERM clients
    are sent away over a window (drain_seconds) before connections are closed.
    """
    settings = Settings() if websocket is None else Settings(websocket=websocket)  # type: ignore[arg-type]
    options: list[str] = []
    for name, value in websocket_options(settings.limits).items():
        if value is not None:
            options += [f"--{name.replace('_', '-')}", str(value)]
    arguments = [application, *options, *context.args]
    try:
        parsed = uvicorn_command.make_context("tidings run", arguments).params
    except click.ClickException as error:
        raise UsageError(error.format_message()) from None
    except click.exceptions.Exit as asked:  # such as --version, which has been answered
        sys.exit(asked.exit_code)
    check_workers(parsed["workers"] or 1, settings.broker)
    redact_uvicorn()
    logging.getLogger("uvicorn.error").addFilter(_announce)
    try:
        status = _run(_configuration(parsed, settings))
    except SystemExit as stopped:
        # uvicorn has said on standard error why it did not start.
        status = USAGE_STATUS if stopped.code else 0
    sys.exit(status)


def _configuration(parsed: Mapping[str, Any], settings: Settings) -> uvicorn.Config:
    """What uvicorn's own command makes of its options; who names ``--ws`` or ``--http`` gets that."""
    options = dict(parsed)
    if options["ws"] == "auto":
        options["ws"] = websocket_class(settings)
    if options["http"] == "auto":
        options["http"] = GuardedHttpProtocol
    sys.path.insert(0, options.pop("app_dir"))
    options["headers"] = [header.split(":", 1) for header in options["headers"]]
    options["log_config"] = LOGGING_CONFIG if options["log_config"] is None else options["log_config"]
    for name in _LISTS:
        options[name] = list(options[name]) or None
    return uvicorn.Config(**options)


def _run(config: uvicorn.Config) -> int:
    """Serve until a signal says to stop: the exit status. Raises SystemExit where uvicorn cannot start."""
    try:
        if config.should_reload:
            server = DrainingServer(config, at_once=True)
            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        elif config.workers > 1:
            return _work_together(config)
        else:
            config.load_app()
            server = DrainingServer(config)
            server.run()
            return 0 if server.started else USAGE_STATUS
    except KeyboardInterrupt:
        pass  # at a terminal this is how one stops
    finally:
        if config.uds:
            Path(config.uds).unlink(missing_ok=True)
    return 0


def _work_together(config: uvicorn.Config) -> int:
    """Several processes: of a port each has a socket of its own, for an even spread; what has no port is shared."""
    if config.uds is not None or config.fd is not None:
        with config.bind_socket() as held:
            return Workers(partial(_work, config, held), config.workers, on_ready=lambda: None).run()
    with reserve(config.host, config.port) as held:
        url = url_of(held, "https" if config.is_ssl else "http")
        address = config.host, held.getsockname()[1]
        workers = Workers(
            partial(_work, config, address),
            config.workers,
            on_ready=lambda: print(f"Open {url}", flush=True),
        )
        return workers.run()


def _work(config: uvicorn.Config, place: socket.socket | tuple[str, int], on_ready: Ready) -> None:
    """One worker of several, in a process of its own."""
    config.configure_logging()
    redact_uvicorn()
    listener = listen(*place, shared=True) if isinstance(place, tuple) else place
    DrainingServer(config, on_ready=on_ready).run(sockets=[listener])


def _announce(record: logging.LogRecord) -> bool:
    """Say where to look, in the moment when uvicorn listens; scripts wait for this line."""
    if isinstance(record.msg, str) and record.msg.startswith(_STARTED) and isinstance(record.args, tuple):
        try:
            scheme, host, port = record.args
        except ValueError:
            return True  # a UNIX socket has no address to open
        if host in ("0.0.0.0", "::", "[::]"):
            host = "127.0.0.1"
        print(f"Open {scheme}://{host}:{port}", flush=True)
    return True
