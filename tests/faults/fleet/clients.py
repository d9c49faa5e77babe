"""Many Python clients in one process, as ``clients.mjs``: ``python -m tests.faults.fleet.clients CONFIG``."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import sys
from collections import Counter
from pathlib import Path
from typing import Any, TextIO

from tidings.client import Gap, Live, connect

CHOOSES_TRANSPORTS = "transports" in inspect.signature(connect).parameters


class Client:
    """One client, and where it stands."""

    def __init__(self, spec: dict[str, Any], url: str, log: TextIO) -> None:
        self.id: str = spec["id"]
        self._topics: list[str] = spec["topics"]
        options: dict[str, Any] = {"transports": tuple(spec["transports"])} if CHOOSES_TRANSPORTS else {}
        self.live: Live = connect(url, token=spec["token"], **options)
        self._log = log

    async def read(self) -> None:
        async for event in self.live.subscribe(*self._topics, on_gap=self._gap):
            number: int = event.data.payload["number"]
            self._log.write(f"e {self.id} {event.topic} {number} {event.cursor}\n")

    def _gap(self, gap: Gap) -> None:
        self._log.write(f"g {self.id} {gap.topic} {gap.reason} {gap.cursor}\n")

    @property
    def is_ready(self) -> bool:
        """Live, with a position in each topic."""
        topics = [self.live._machine.topic(topic) for topic in self._topics]
        return self.live.status.state == "live" and all(
            topic is not None and topic.state == "live" and topic.cursor is not None for topic in topics
        )

    def behind(self, tops: dict[str, str]) -> int:
        """In how many topics it is not at the top."""
        topics = {name: self.live._machine.topic(name) for name in self._topics}
        return sum(name in tops and (topic is None or topic.cursor != tops[name]) for name, topic in topics.items())

    @property
    def carrier(self) -> str:
        """The transport, or why there is none."""
        status = self.live.status
        return str(getattr(status, "transport", None) or ("websocket" if status.state == "live" else status.state))


def progress(clients: list[Client], tops: dict[str, str], complaints: Counter[str]) -> dict[str, Any]:
    """How many are ready, how many topics are behind, and what carries the events."""
    return {
        "ready": sum(client.is_ready for client in clients),
        "behind": sum(client.behind(tops) for client in clients),
        "transports": Counter(client.carrier for client in clients),
        "complaints": complaints,
    }


def hurry(clients: list[Client]) -> None:
    """Who waits to dial dials now."""
    for client in clients:
        if client.live.status.state != "live":
            client.live.reconnect()


class _Complaints(logging.Handler):
    """Counts what the client logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.counts: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.getMessage()[:60]] += 1


async def main(config: dict[str, Any], log: TextIO) -> None:
    """Run the clients until standard input says stop."""
    complaints = _Complaints()
    logging.getLogger("tidings.client").addHandler(complaints)
    loop, questions = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    clients = [Client(spec, config["url"], log) for spec in config["clients"]]
    readers = [asyncio.create_task(client.read()) for client in clients]
    while (asked := json.loads(await questions.readline()))["ask"] != "stop":
        for reader in readers:
            if reader.done():
                reader.result()  # a loop that ended is a fault of its own
                raise RuntimeError("a subscription ended")
        if asked["ask"] == "hurry":
            hurry(clients)
        print(json.dumps(progress(clients, asked["tops"], complaints.counts)), flush=True)
    last = progress(clients, {}, complaints.counts)
    for client in clients:
        await client.live.close()
    await asyncio.gather(*readers)
    print(json.dumps(last), flush=True)


if __name__ == "__main__":
    CONFIG = json.loads(Path(sys.argv[1]).read_text())
    with Path(CONFIG["log"]).open("w") as seen:
        asyncio.run(main(CONFIG, seen))
