"""Writers that commit, roll back and dawdle; relays and servers that are killed; and what a subscriber saw of it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
from sqlalchemy import Engine, MetaData, Text, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.browser.processes import python_path
from tests.faults.serve import API_KEY, Server, token
from tests.unit.outbox.rig import engine, url
from tidings.client import Event, Gap, connect
from tidings.outbox import Outbox

TOPICS = tuple(f"gift-list:{n}" for n in range(4))
ROWS_PER_TOPIC = 3
SETTLE_SECONDS_MAX = 60.0


class Base(DeclarativeBase):
    metadata = MetaData()


class Gift(Base):
    __tablename__ = "gifts"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    version: Mapped[int]


outbox = Outbox(Base.metadata)


@dataclass
class Seen:
    """What everybody saw. The writers' part is under the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    committed: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    received: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    gaps: list[Gap] = field(default_factory=list)
    relays_killed: int = 0
    servers_killed: int = 0

    def received_count(self) -> int:
        return sum(map(len, self.received.values()))


class Undo(Exception):
    """Raised in a transaction that shall not be."""


class Writers:
    """Threads that change rows and say so, each in transactions of its own."""

    def __init__(self, made: Engine, seen: Seen, count: int, seed: int) -> None:
        self._made = made
        self._seen = seen
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(f"{seed}/{n}"),)) for n in range(count)]
        self.failures: list[BaseException] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance: random.Random) -> None:
        try:
            while not self._stop.is_set():
                self._transaction(chance)
                self._stop.wait(chance.uniform(0.0, 0.05))
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def _transaction(self, chance: random.Random) -> None:
        topic = chance.choice(TOPICS)
        # In one order, so that writers do not lock each other out.
        gifts = sorted(chance.sample(range(ROWS_PER_TOPIC), chance.choice((1, 1, 2))))
        marks: list[str] = []
        undone: list[str] = []
        undo = chance.random() < 0.2
        try:
            with Session(self._made) as session, session.begin():
                for number in gifts:
                    marks.append(self._change(session, topic, f"{topic}/{number}"))
                    if chance.random() < 0.2:
                        with session.begin_nested() as inner:
                            undone.append(self._change(session, topic, f"{topic}/{number}"))
                            session.flush()
                            inner.rollback()
                session.flush()
                if chance.random() < 0.1:  # ids are taken; on PostgreSQL others commit meanwhile
                    time.sleep(chance.uniform(0.0, 0.2) if self._made.dialect.name == "postgresql" else 0.0)
                if undo:
                    raise Undo
        except Undo:
            undone += marks
            marks = []
        with self._seen.lock:
            self._seen.committed.update(marks)
            self._seen.undone.update(undone)

    def _change(self, session: Session, topic: str, gift_id: str) -> str:
        mark = uuid4().hex
        change = update(Gift).where(Gift.id == gift_id).values(version=Gift.version + 1).returning(Gift.version)
        version = session.execute(change).scalar_one()
        outbox.add(session, topic, "UPDATED", entity_id=gift_id, payload={"version": version, "mark": mark})
        session.flush()
        return mark


class Relays:
    """Processes that relay, one after another killed without a word."""

    def __init__(self, database: str, broker: str, log: Path, count: int) -> None:
        self._command = [
            sys.executable, "-m", "tidings.cli.main", "relay",
            "--outbox", url(database, "sync"), "--broker", broker, "--log-level", "warning",
        ]  # fmt: skip
        self._log = log
        self._places: list[asyncio.subprocess.Process | None] = [None] * count

    async def start(self) -> None:
        for place, process in enumerate(self._places):
            if process is None:
                with self._log.open("ab") as output:
                    self._places[place] = await asyncio.create_subprocess_exec(
                        *self._command, env=os.environ | {"PYTHONPATH": python_path()},
                        stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                    )  # fmt: skip

    async def kill(self, place: int, number: signal.Signals = signal.SIGKILL) -> None:
        process = self._places[place]
        assert process is not None
        assert process.returncode is None, f"a relay ended by itself: {self._log.read_text()}"
        process.send_signal(number)
        await process.wait()
        self._places[place] = None

    async def stop(self) -> None:
        for place, process in enumerate(self._places):
            if process is not None:
                await self.kill(place, signal.SIGTERM)


async def storm(
    database: str, folder: Path, *, seconds: float, writers: int, relay_kills: int, server_kills: int, seed: int
) -> Seen:
    """Run it, and wait until all that was committed has come. Raises AssertionError where it does not."""
    made = engine(database)
    Base.metadata.create_all(made)
    with Session(made) as session, session.begin():
        for topic in TOPICS:
            session.add_all(Gift(id=f"{topic}/{n}", topic=topic, version=0) for n in range(ROWS_PER_TOPIC))
    seen = Seen()
    chance = random.Random(seed)
    broker = f"sqlite:///{folder}/events.db"
    server = Server(folder, broker=broker)
    relays = Relays(database, broker, folder / "relays.log", 2)
    crew = Writers(made, seen, writers, seed)
    await server.start()
    watching = asyncio.create_task(_watch(server.http, seen, await _positions(server.http)))
    try:
        await relays.start()
        crew.start()
        await _trouble(server, relays, seen, chance, seconds, relay_kills, server_kills)
        await asyncio.to_thread(crew.stop)
        assert not crew.failures
        await _settled(made, watching, seen, folder)
    finally:
        await asyncio.to_thread(crew.stop) if any(t.is_alive() for t in crew._threads) else None
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await relays.stop()
        await server.kill()
        made.dispose()
    return seen


async def _watch(address: str, seen: Seen, since: dict[str, str]) -> None:
    async with connect(address, token=token("u-1")) as live:
        async for event in live.subscribe(*TOPICS, since=since, on_gap=seen.gaps.append):
            seen.received[event.topic].append(event)


async def _positions(address: str) -> dict[str, str]:
    """Where the topics stand: from then on nothing may be missing."""
    async with httpx.AsyncClient(base_url=address) as client:
        query = {"topic": TOPICS}
        answer = await client.get("/realtime/cursor", params=query, headers={"Authorization": f"Bearer {API_KEY}"})
    cursors: dict[str, str] = answer.json()["cursors"]
    return cursors


async def _trouble(
    server: Server,
    relays: Relays,
    seen: Seen,
    chance: random.Random,
    seconds: float,
    relay_kills: int,
    server_kills: int,
) -> None:
    """The kills at random moments of the time there is."""
    begun = time.monotonic()
    moments = [(chance.uniform(0.5, seconds), "relay") for _ in range(relay_kills)]
    moments += [(chance.uniform(0.5, seconds), "server") for _ in range(server_kills)]
    for at, victim in sorted(moments):
        await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
        if victim == "relay":
            await relays.kill(chance.randrange(2))
            seen.relays_killed += 1
            await relays.start()
        else:
            await server.kill()
            seen.servers_killed += 1
            await server.start()
    await asyncio.sleep(max(0.0, begun + seconds - time.monotonic()))


async def _settled(made: Engine, watching: asyncio.Task[None], seen: Seen, folder: Path) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while seen.received_count() < len(seen.committed):
        assert not watching.done(), watching.exception()
        assert time.monotonic() < deadline, (
            f"{seen.received_count()} of {len(seen.committed)} came: {(folder / 'relays.log').read_text()[-2000:]}"
        )
        await asyncio.sleep(0.02)
    with Session(made) as session:
        stored = {gift.id: gift.version for gift in session.scalars(select(Gift))}
    check(seen, stored)


def check(seen: Seen, stored: dict[str, int]) -> None:
    """Every committed change once and in order, no other, and the screen as the database is."""
    marks = Counter(event.payload["mark"] for events in seen.received.values() for event in events)
    assert not marks.keys() & seen.undone, "something was said that was rolled back"
    assert marks.keys() == seen.committed, "what came is not what was committed"
    assert max(marks.values()) == 1, "something was said twice"
    shown = dict.fromkeys(stored, 0)
    for events in seen.received.values():
        for event in events:
            version = event.payload["version"]
            assert version == shown[event.entity_id] + 1, (
                f"{event.entity_id} went from {shown[event.entity_id]} to {version}"
            )
            shown[event.entity_id] = version
    assert shown == stored
    assert not seen.gaps, f"gaps that there were not: {seen.gaps}"
