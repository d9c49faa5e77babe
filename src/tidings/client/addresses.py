"""Where a server is: one address from the application, one of each transport from that."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

DEFAULT_PATH = "/realtime"
_KEPT = "/%:@!$&'()*+,;=?~-._"  # of a path or a query: what may stand in a request line
_SECURE = {"http": False, "ws": False, "https": True, "wss": True}


@dataclass(frozen=True, slots=True)
class Address:
    """A server and the path under which it answers.

    :ivar path: the prefix, such as ``/realtime``; without a slash at the end.
    :ivar query: what the application's own address brought, without the question mark.
    :ivar user_info: ``user:password`` for a proxy before the server, escaped as in the address.
    """

    host: str
    port: int | None
    secure: bool
    path: str = DEFAULT_PATH
    query: str = ""
    user_info: str = ""

    @property
    def authority(self) -> str:
        """Host and port as they stand in an address and in the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def port_number(self) -> int:
        """The port to dial."""
        return self.port or (443 if self.secure else 80)

    @property
    def websocket(self) -> str:
        """``wss://host/realtime/ws``."""
        netloc = f"{self.user_info}@{self.authority}" if self.user_info else self.authority
        return urlunsplit(("wss" if self.secure else "ws", netloc, f"{self.path}/ws", self.query, ""))

    @property
    def basic(self) -> str | None:
        """The header ``Authorization`` for the user of the address; None where it names none."""
        if not self.user_info:
            return None
        return f"Basic {b64encode(unquote(self.user_info).encode()).decode()}"

    def target(self, name: str, query: str = "") -> str:
        """``/realtime/<name>?…``: what a request over HTTP asks for."""
        return urlunsplit(("", "", f"{self.path}/{name}", "&".join(filter(None, (self.query, query))), ""))

    @property
    def text(self) -> str:
        """The address for people, and to tell servers apart."""
        return urlunsplit(("https" if self.secure else "http", self.authority, self.path, self.query, ""))


def parse_address(url: str) -> Address:
    """Read what the application gives: http, https, ws or wss; with the prefix, with the whole path, or the host alone.

    Raises ValueError for what is no address.
    """
    parts = urlsplit(url)
    wrong = ValueError(f"{url!r} is not an address; write it as https://app.example.com")
    if parts.scheme not in _SECURE or not parts.hostname:
        raise wrong
    try:
        port = parts.port
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        path, query = quote(parts.path, safe=_KEPT), quote(parts.query, safe=_KEPT)
    except ValueError:  # UnicodeError among them
        raise wrong from None
    path = path.rstrip("/").removesuffix("/ws").rstrip("/") or DEFAULT_PATH
    user_info = parts.netloc.rpartition("@")[0]
    return Address(host, port, _SECURE[parts.scheme], path, query, user_info)
