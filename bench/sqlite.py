"""What the SQLite broker stores a second, each event on the disk before it is answered, beside the disk itself.

The disk's own time is that of one small write and its sync, again and again: no commit can be faster. The three are
measured in turns, so that another tenant of the disk slows all of them; what counts are the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tidings.brokers import broker_from_url
from tidings.core.events import Publication
from tidings.core.limits import Limits
from tidings.core.topics import TopicKey
from tidings.engine.clock import SystemClock
from tidings.ports import Broker

PUBLISHERS = 64
TOPICS = 16
BODY = b'{"topic":"gift-list:1","event":"UPDATED","data":{"entity_id":"gift-7","payload":{"note":"%b"}}}' % (b"x" * 160)
SYNC_BYTES = 4_096  # a page, as SQLite writes it


class Nobody:
    """A receiver that listens to nothing."""

    def received(self, publication: Publication) -> None: ...
    def interrupted(self) -> None: ...


def syncs_per_second(folder: Path, count: int) -> float:
    """Writes of one page each, confirmed by the disk, in a file that does not grow: that alone costs more."""
    with (folder / "syncs").open("wb", buffering=0) as file:
        file.write(b"\1" * SYNC_BYTES * count)
        os.fsync(file.fileno())
        file.seek(0)
        begin = time.perf_counter()
        for _ in range(count):
            file.write(b"\0" * SYNC_BYTES)
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - begin)


async def publishes_per_second(broker: Broker, publishers: int, each: int) -> float:
    """So many publishers, each of which waits for its answer before it publishes again."""

    async def publisher(number: int) -> None:
        key = TopicKey(None, f"gift-list:{number % TOPICS}")
        for _ in range(each):
            await broker.publish(key, BODY)

    begin = time.perf_counter()
    await asyncio.gather(*(publisher(number) for number in range(publishers)))
    return publishers * each / (time.perf_counter() - begin)


async def measure(folder: Path, events: int, rounds: int) -> dict[str, float]:
    """Medians over the rounds; a ratio is the median of each round's own."""
    broker = broker_from_url(f"sqlite:///{folder / 'events.db'}", Limits(), SystemClock())
    await broker.start(Nobody())
    disk: list[float] = []
    alone: list[float] = []
    together: list[float] = []
    try:
        await publishes_per_second(broker, PUBLISHERS, 4)  # the topics are there, the file has grown
        for _ in range(rounds):
            disk.append(syncs_per_second(folder, events))
            alone.append(await publishes_per_second(broker, 1, events))
            together.append(await publishes_per_second(broker, PUBLISHERS, max(1, events * 8 // PUBLISHERS)))
    finally:
        await broker.close()
    return {
        "disk_syncs_per_second": statistics.median(disk),
        "publishes_per_second_1": statistics.median(alone),
        f"publishes_per_second_{PUBLISHERS}": statistics.median(together),
        "ratio_1": statistics.median(a / d for a, d in zip(alone, disk, strict=True)),
        f"ratio_{PUBLISHERS}": statistics.median(t / d for t, d in zip(together, disk, strict=True)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=400, help="one publisher's, in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk that is meant; by default a new one here"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder or Path.cwd()) as folder:
        result = asyncio.run(measure(Path(folder), options.events, options.rounds))
    if options.json:
        print(json.dumps(result))
        return
    disk = result["disk_syncs_per_second"]
    print(f"sqlite, each event on the disk before it is answered; medians of {options.rounds} rounds in turns")
    print(f"  the disk's sync   {disk:>10,.0f} a second, {1_000 / disk:.2f} ms each")
    for publishers in (1, PUBLISHERS):
        rate, ratio = result[f"publishes_per_second_{publishers}"], result[f"ratio_{publishers}"]
        name = f"{publishers} publisher{'s' if publishers > 1 else ''}"
        print(f"  {name:<17} {rate:>10,.0f} events a second, {ratio:.2f} to a sync")


if __name__ == "__main__":
    main()
