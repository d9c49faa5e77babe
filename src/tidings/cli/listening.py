"""Where a command listens: one socket for one process, or one for each of several processes on the same port."""

from __future__ import annotations

import os
import socket

from tidings.core.errors import UsageError

BACKLOG = 2_048  # connections that wait to be accepted, as when all clients come back at once


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind and listen. Raises UsageError where the address cannot be had.

    :param shared: other processes listen there too, and the system spreads the connections over them evenly. With
        one socket for all of them, who wakes first would take most, and long-lived connections stay where they are.
    """
    try:
        return socket.create_server((host, port), family=_family(host), backlog=BACKLOG, reuse_port=shared)
    except (OSError, ValueError) as error:
        raise _refused(host, port, error) from None


def reserve(host: str, port: int) -> socket.socket:
    """A socket that holds the address for processes that share it, and takes no connection itself.

    Raises UsageError where the address cannot be had: also where another server listens that would share it.
    """
    with listen(host, port) as alone:
        port = alone.getsockname()[1]
    family = _family(host)
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        held.bind((host, port))
    except (OSError, AttributeError) as error:
        held.close()
        raise _refused(host, port, error) from None
    return held


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """The address as a person opens it."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _refused(host: str, port: int, error: Exception) -> UsageError:
    if not isinstance(error, OSError):
        return UsageError("this system cannot share a port between processes (SO_REUSEPORT): use --workers 1")
    # The numbers of failed name look-ups are negative, and not the system's.
    why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
    return UsageError(f"cannot listen on {host}:{port}: {why}")
