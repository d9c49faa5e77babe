"""``tidings relay``: publishes an outbox in a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Annotated, Any

import typer

from tidings.brokers import broker_from_url
from tidings.cli.outbox_database import relay_of
from tidings.core.errors import UsageError
from tidings.core.events import Publication
from tidings.engine.catalog import Catalog
from tidings.engine.clock import SystemClock
from tidings.engine.publisher import Publisher
from tidings.observe.logs import configure_logging
from tidings.settings import Settings

_log = logging.getLogger("tidings.relay")


def relay(
    outbox: Annotated[str | None, typer.Option(help="The database, as SQLAlchemy names it.")] = None,
    broker: Annotated[str | None, typer.Option(help="That of the servers: sqlite:///path.")] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json.", show_default="text")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.", show_default="info")] = None,
) -> None:
    """Publish what is committed to the outbox, beside servers that share a broker.

    Several may run: one works, and another takes over within seconds when it dies. A server that was given the
    outbox relays by itself and needs no such process.
    """
    given: dict[str, Any] = {"outbox": outbox, "broker": broker, "log_format": log_format, "log_level": log_level}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    if settings.broker == "memory":
        raise UsageError(
            "a relay of its own needs the broker that the servers share, named by --broker or TIDINGS_BROKER: "
            "events in its memory would reach nobody"
        )
    configure_logging(settings.log_format, settings.log_level)
    asyncio.run(_relay(settings))


class _Nobody:
    """Nothing is joined here, so nothing is received."""

    def received(self, publication: Publication) -> None:
        """Never called."""

    def interrupted(self) -> None:
        """Nobody's position is at stake."""


async def _relay(settings: Settings) -> None:
    clock, limits = SystemClock(), settings.limits
    work = relay_of(settings.outbox)
    await work.check()
    broker = broker_from_url(settings.broker, limits, clock)
    catalog = Catalog(settings.topics)
    await broker.start(_Nobody())
    try:
        publisher = Publisher(broker, limits, clock, on_published=catalog.seen)
        await work.start(publisher.publish_numbered)
        print("Relaying.", flush=True)
        await _asked_to_stop()
    finally:
        await work.close()
        await broker.close()
    _log.info("closed", extra=work.statistics())


async def _asked_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
