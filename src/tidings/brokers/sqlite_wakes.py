"""How one process tells the others on the machine that the file has news.

Each has a datagram socket in a folder beside the file. A wake carries nothing and may be lost: who is not
woken looks by himself a moment later. A socket whose process was killed refuses, and is removed by the next
who rings.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
from contextlib import suppress
from pathlib import Path

_ADDRESS_BYTES_MAX = 100  # the system's limit is 104 to 108
_ATTEMPTS_MAX = 5


class Wakes:
    """One process's bell, and the way to the others'.

    ``open``, ``wait`` and ``close`` are for one thread; ``ring`` may be called by another between open and close.

    :param folder: beside the database file; made when the first comes, removed when the last goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._selector = selectors.DefaultSelector()
        # For our own process a pair, which works where sockets in folders do not.
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._bell: socket.socket | None = None
        self._folder_descriptor: int | None = None

    def open(self) -> None:
        """Be reachable by others; where the system has no such sockets, looking now and then must do."""
        if not hasattr(socket, "AF_UNIX"):
            return
        for _ in range(_ATTEMPTS_MAX):
            bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                bell.setblocking(False)
                self._folder.mkdir(mode=0o700, exist_ok=True)
                bell.bind(self._address(self._name))
            except FileNotFoundError:
                bell.close()  # the last one to go has just removed the folder
                self._forget_folder()
            except OSError:
                bell.close()
                return
            else:
                self._bell = bell
                self._selector.register(bell, selectors.EVENT_READ)
                return

    def ring(self) -> None:
        """Wake this process and all others. Never raises, never blocks."""
        self.ring_own()
        if self._bell is None:
            return
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name != self._name:
                    self._ring_one(entry.name)

    def ring_own(self) -> None:
        """Wake this process. Where it has not listened yet, one wake of many is enough."""
        with suppress(OSError):
            self._mouth.send(b"\0")

    def wait(self, seconds_max: float) -> None:
        """Return when somebody rings, or after so long. Many wakes are one."""
        for key, _ in self._selector.select(seconds_max):
            with suppress(BlockingIOError):
                while key.fileobj.recv(4_096):  # type: ignore[union-attr]
                    pass

    def close(self) -> None:
        """Let go of the socket, and of the folder if nobody else is in it."""
        self._selector.close()
        if self._bell is not None:
            with suppress(OSError):
                (self._folder / self._name).unlink()
            self._bell.close()
            self._bell = None
        with suppress(OSError):
            self._folder.rmdir()
        self._forget_folder()
        self._ear.close()
        self._mouth.close()

    def _ring_one(self, name: str) -> None:
        assert self._bell is not None
        try:
            self._bell.sendto(b"\0", self._address(name))
        except ConnectionRefusedError:
            with suppress(OSError):
                (self._folder / name).unlink()  # its process was killed
        except OSError:
            pass  # full: it has wakes enough. Gone: it does not listen any more

    def _address(self, name: str) -> str:
        address = str(self._folder / name)
        if len(os.fsencode(address)) <= _ADDRESS_BYTES_MAX:
            return address
        # Too long for the system; Linux can name the folder by a descriptor.
        if self._folder_descriptor is None:
            self._folder_descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self._folder_descriptor}/{name}"

    def _forget_folder(self) -> None:
        if self._folder_descriptor is not None:
            os.close(self._folder_descriptor)
            self._folder_descriptor = None
