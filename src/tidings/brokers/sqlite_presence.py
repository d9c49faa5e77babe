"""Who is present, for the processes of one machine: a small file beside the broker's, that outlives nobody.

The file and its thread come with the first member; a server without presence has neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from tidings.brokers.sqlite_presence_file import PresenceFile
from tidings.brokers.sqlite_presence_worker import (
    Command,
    Enter,
    Exit,
    News,
    PresenceWorker,
    Query,
    Unwatch,
    Watch,
)
from tidings.brokers.sqlite_wakes import Wakes
from tidings.core.errors import BrokerUnavailable
from tidings.core.frames import Member
from tidings.core.topics import TopicKey
from tidings.ports import Clock, PresenceReceiver

log = logging.getLogger("tidings.presence")

ANSWER_SECONDS_MAX = 15.0
AGAIN_SECONDS = 5.0  # after the file could not be opened


class SQLitePresence:
    """``tidings.ports.Presence`` in one file.

    :param path: of the file; it may be removed at any time.
    :param clock: whose ``now`` says when a node that has not spoken is dead.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._receiver: PresenceReceiver | None = None
        self._own: dict[tuple[TopicKey, str], Member] = {}
        self._watched: set[TopicKey] = set()
        self._worker: PresenceWorker | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self, receiver: PresenceReceiver) -> None:
        """Remember whom to tell; the file is opened when it is needed."""
        self._receiver = receiver
        self._is_closed = False

    async def close(self) -> None:
        """Let go of the file. The others see this node's members for some seconds more."""
        self._is_closed = True
        self._receiver = None
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
        self._own.clear()
        self._watched.clear()

    def enter(self, key: TopicKey, member: Member) -> None:
        """A member of this node."""
        self._own[key, member.session] = member
        self._ask(Enter(key, member))

    def exit(self, key: TopicKey, session: str) -> None:
        """It has left."""
        self._own.pop((key, session), None)
        self._ask(Exit(key, session))

    def watch(self, key: TopicKey) -> None:
        """Tell of the key's members on other nodes."""
        self._watched.add(key)
        self._ask(Watch(key))

    def unwatch(self, key: TopicKey) -> None:
        """Stop that."""
        self._watched.discard(key)
        self._ask(Unwatch(key))

    async def members(self, key: TopicKey) -> Sequence[Member]:
        """All members of all nodes. Raises BrokerUnavailable."""
        answer: asyncio.Future[Sequence[Member]] = asyncio.get_running_loop().create_future()
        self._ask(Query(key, answer))
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await answer
        except TimeoutError:
            raise BrokerUnavailable(
                f"Who is present could not be read from {self._path} within {ANSWER_SECONDS_MAX:g} seconds."
            ) from None

    def _ask(self, command: Command) -> None:
        if self._worker is None:
            if self._is_closed:
                return
            self._begin()
        assert self._worker is not None
        self._worker.ask(command)

    def _begin(self) -> None:
        """A worker, which takes commands from now on and carries them out when it has its file."""
        loop = asyncio.get_running_loop()
        wakes = Wakes(self._path.with_name(f"{self._path.name}-wake"))
        self._worker = PresenceWorker(PresenceFile(self._path), loop, wakes, clock=self._clock, on_news=self._tell)
        for (key, _), member in self._own.items():
            self._worker.ask(Enter(key, member))
        for key in self._watched:
            self._worker.ask(Watch(key))
        self._starting = loop.create_task(self._start(self._worker))

    async def _start(self, worker: PresenceWorker) -> None:
        try:
            await worker.start()
        except Exception as error:
            log.error("who is present in other processes cannot be known for now: %s", error)
            self._worker = None
            await asyncio.sleep(AGAIN_SECONDS)
            if self._worker is None:
                self._begin()

    def _tell(self, news: list[News]) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        for key, change in news:
            if isinstance(change, str):
                receiver.exited(key, change)
            elif isinstance(change, Member):
                receiver.entered(key, change)
            else:
                receiver.present(key, change)
