"""``tidings run``: your own application on uvicorn, with the options that live updates want."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import click
import typer
from uvicorn.main import main as uvicorn_command

from tidings.cli.serve import check_workers, websocket_options
from tidings.core.errors import UsageError
from tidings.observe.logs import redact_uvicorn
from tidings.settings import Settings

_STARTED = "Uvicorn running on"


def run(
    context: typer.Context,
    application: Annotated[str, typer.Argument(metavar="MODULE:APP", help="Your application, such as main:app.")],
) -> None:
    """Run a FastAPI or Starlette application that has mounted Tidings.

    Takes all options of uvicorn (see uvicorn --help), such as --port 8000 --reload. Compression of WebSocket
    frames is off, and frames and heartbeats keep to Tidings' limits, unless you say otherwise.
    """
    settings = Settings()
    options: list[str] = []
    for name, value in websocket_options(settings.limits).items():
        if value is not None:
            options += [f"--{name.replace('_', '-')}", str(value)]
    arguments = [application, *options, *context.args]
    try:
        parsed = uvicorn_command.make_context("tidings run", arguments)
    except click.ClickException as error:
        raise UsageError(error.format_message()) from None
    except click.exceptions.Exit as asked:  # such as --version, which has been answered
        sys.exit(asked.exit_code)
    check_workers(parsed.params["workers"] or 1, settings.broker)
    redact_uvicorn()
    logging.getLogger("uvicorn.error").addFilter(_announce)
    try:
        with parsed:
            uvicorn_command.invoke(parsed)
    except SystemExit as stopped:
        # uvicorn has said on standard error why it did not start.
        sys.exit(2 if stopped.code else 0)


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
