"""The command ``tidings``: its list of commands, and what an expected fault looks like."""

from __future__ import annotations

import os
import sys

import typer

from tidings.cli.bench import bench
from tidings.cli.outbox import outbox
from tidings.cli.publish import publish
from tidings.cli.relay import relay
from tidings.cli.run import run
from tidings.cli.serve import serve
from tidings.cli.tail import tail
from tidings.cli.token import token
from tidings.cli.validate import validate
from tidings.core.errors import TidingsError
from tidings.observe.logs import escaped

USAGE_STATUS = 2  # as for a wrong option: nothing was started

app = typer.Typer(
    name="tidings",
    help="Your database changes; every open screen follows, in order, with nothing lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)
app.command()(publish)
app.command()(tail)
app.command()(token)
app.command()(validate)
app.command()(relay)
app.add_typer(outbox, name="outbox")
app.command()(bench)


def main() -> None:
    """Run the command. An expected fault is one line on standard error and status 2, without a traceback."""
    try:
        app()
    except TidingsError as error:
        print(f"error: {escaped(str(error))}", file=sys.stderr)  # it may repeat what a server said
        sys.exit(USAGE_STATUS)
    except BrokenPipeError:
        # The reader, such as head, has gone: nothing is left to say, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
