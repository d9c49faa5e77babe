"""Several processes that serve the same address, and the master that keeps them.

The master takes no connection and reads no event. It starts the workers, starts another where one died, hands on
SIGTERM and SIGINT, and ends when all have ended, or kills those that did not in time.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from tidings.core.errors import TidingsError

log = logging.getLogger("tidings.workers")

STEADY_SECONDS = 10.0  # a worker that lived so long was well: the next one starts at once
STOP_SECONDS = 30.0  # for workers that were never ready
RESTART_SECONDS = (0.5, 30.0)  # the pause after the first early death, and the longest, for it doubles
FAILED_STATUS = 1
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130  # as shells report it

Ready = Callable[[float], None]
"""Called by a worker that takes connections, with the seconds that it may take to end once it is asked to."""

Work = Callable[[Ready], None]
"""What a worker does until it is asked to stop."""

_spawn = multiprocessing.get_context("spawn")  # a fork would share what libraries hold


@dataclass
class _Worker:
    """One place among the workers, and the process that has it now."""

    process: SpawnProcess | None = None
    news: Connection | None = None
    ready: bool = False
    started_at: float = 0.0
    start_at: float | None = None  # when the next process is due, while there is none
    early_deaths: int = 0


class Workers:
    """Run so many processes of the same work.

    :param work: must be picklable, for each process is a fresh interpreter.
    :param on_ready: called once, when all take connections.
    """

    def __init__(self, work: Work, count: int, *, on_ready: Callable[[], None]) -> None:
        self._work = work
        self._workers = [_Worker() for _ in range(count)]
        self._stop_seconds = STOP_SECONDS
        self._on_ready = on_ready
        self._announced = False
        self._served = False  # one has been ready: what it needs is there
        self._asked: list[int] = []
        self._kill_at: float | None = None
        self._status = 0

    def run(self) -> int:
        """Return when all have ended: the exit status. Call it in the main thread, which has the signals."""
        with self._signals() as woken:
            for worker in self._workers:
                self._start(worker)
            while any(worker.process is not None or worker.start_at is not None for worker in self._workers):
                self._wait(woken)
                self._hand_on_signals()
                for worker in self._workers:
                    self._look_at(worker)
        return self._status

    @contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """A signal ends a wait: Python would go on with it otherwise."""
        woken, waker = socket.socketpair()
        with woken, waker:
            woken.setblocking(False)
            waker.setblocking(False)
            fd_before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
            before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
            try:
                yield woken
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(fd_before)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(number)

    def _start(self, worker: _Worker) -> None:
        news, mouth = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_run_worker, args=(self._work, mouth))
        process.start()
        mouth.close()
        worker.process, worker.news, worker.ready = process, news, False
        worker.started_at, worker.start_at = time.monotonic(), None

    def _wait(self, woken: socket.socket) -> None:
        moments = [worker.start_at for worker in self._workers if worker.start_at is not None]
        if self._kill_at is not None:
            moments.append(self._kill_at)
        sources: list[Connection | socket.socket | int] = [woken]
        for worker in self._workers:
            if worker.process is not None:
                sources.append(worker.process.sentinel)
            if worker.news is not None:
                sources.append(worker.news)
        wait(sources, max(0.0, min(moments) - time.monotonic()) if moments else None)
        with suppress(BlockingIOError):  # it was something else
            woken.recv(4_096)

    def _hand_on_signals(self) -> None:
        while self._asked:
            number = self._asked.pop(0)
            self._status = INTERRUPTED_STATUS if number == signal.SIGINT else self._status
            self._stop(signal.Signals(number))

    def _stop(self, number: signal.Signals) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._stop_seconds
        for worker in self._workers:
            worker.start_at = None
            if worker.process is not None and worker.process.pid is not None and worker.process.is_alive():
                os.kill(worker.process.pid, number)

    def _look_at(self, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.news is not None and worker.news.poll():
            self._hear(worker, worker.news)
        if worker.process is not None:
            if worker.process.exitcode is not None:
                self._buried(worker, worker.process, now)
            elif self._kill_at is not None and now >= self._kill_at:
                log.error("worker %s did not end within %g s, and is killed", worker.process.pid, self._stop_seconds)
                self._status = FAILED_STATUS
                worker.process.kill()
                worker.process.join()
        if worker.start_at is not None and now >= worker.start_at:
            self._start(worker)

    def _hear(self, worker: _Worker, news: Connection) -> None:
        """The one thing that a worker says: it takes connections. The end of the pipe is its death."""
        try:
            stop_seconds = float(news.recv_bytes())
        except EOFError:
            news.close()
            worker.news = None
            return
        worker.ready = self._served = True
        self._stop_seconds = max(self._stop_seconds, stop_seconds)
        if not self._announced and all(one.ready for one in self._workers):
            self._announced = True
            self._on_ready()

    def _buried(self, worker: _Worker, process: SpawnProcess, now: float) -> None:
        """A process has ended: another one takes its place, or nobody does."""
        process.join()
        status = process.exitcode or 0
        worker.process = None
        if self._kill_at is not None:
            return
        if not self._served and status:
            # Nothing will be different the next time, and it has said why.
            self._status = FAILED_STATUS if status < 0 else status
            self._stop(signal.SIGTERM)
            return
        early = now - worker.started_at < STEADY_SECONDS
        worker.early_deaths = worker.early_deaths + 1 if early else 0
        shortest, longest = RESTART_SECONDS
        pause = min(shortest * 2 ** min(worker.early_deaths - 1, 16), longest) if early else 0.0
        worker.start_at = now + pause
        log.warning("worker %s %s; another starts in %g s", process.pid, _how(status), pause)


def _how(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _run_worker(work: Work, news: Connection) -> None:
    """The life of one worker."""
    os.setpgrp()  # the terminal's Ctrl-C is the master's, which hands it on: once, not twice
    threading.Thread(target=_follow_master, daemon=True).start()
    try:
        work(lambda stop_seconds: news.send_bytes(str(stop_seconds).encode()))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
    except TidingsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USAGE_STATUS)


def _follow_master() -> None:
    """Stop in order when the master is gone, for nobody else would ask for it."""
    master = multiprocessing.parent_process()
    if master is not None:
        master.join()
        os.kill(os.getpid(), signal.SIGTERM)
