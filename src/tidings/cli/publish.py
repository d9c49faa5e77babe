"""``tidings publish``: one event over HTTP."""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from tidings.core.errors import UsageError
from tidings.observe.logs import escaped

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_PREFIX = "/realtime"
ANSWER_SECONDS_MAX = 10


def publish(
    topic: Annotated[str, typer.Argument(help="Such as gift-list:123.")],
    event: Annotated[str, typer.Argument(help="ADDED, UPDATED, DELETED, STATUS_CHANGED or a name of your own.")],
    entity_id: Annotated[str, typer.Argument(help="Which entity it is about.")],
    payload: Annotated[
        str | None, typer.Argument(help="JSON, or - for standard input; none: clients fetch it.")
    ] = None,
    api_key: Annotated[str, typer.Option(envvar="TIDINGS_API_KEY", help="A key of the server.", show_envvar=True)] = "",
    url: Annotated[
        str,
        typer.Option(envvar="TIDINGS_URL", help="The server, with the prefix where it is another.", show_envvar=True),
    ] = DEFAULT_URL,
    tenant: Annotated[str | None, typer.Option(help="Whose topic it is.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Who caused it.")] = None,
    exclude_user: Annotated[str | None, typer.Option(help="A user to leave out.")] = None,
    exclude_session: Annotated[str | None, typer.Option(help="A session to leave out.")] = None,
    trace_id: Annotated[str | None, typer.Option(help="32 hex digits; the server makes one.")] = None,
    version: Annotated[int | None, typer.Option(help="Version of the payload's schema.")] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="A repeat with the same key is not stored again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's answer, for scripts.")] = False,
) -> None:
    """Publish an event and print its cursor. Exit status 1 where the server refuses it."""
    if not api_key:
        raise UsageError("an API key is missing: give --api-key or TIDINGS_API_KEY, one of the server's")
    data = {"entity_id": entity_id, "payload": _payload(payload), "user_id": user_id, "tenant_id": tenant}
    exclude = {"user": exclude_user, "session": exclude_session}
    body = {
        "topic": topic, "event": event, "data": _given(data) | {"payload": data["payload"]}, "trace_id": trace_id,
        "version": version, "idempotency_key": idempotency_key, "exclude": _given(exclude) or None,
    }  # fmt: skip
    status, answer = _post(url, "publish", _given(body), api_key)
    published = answer.get("published")
    if as_json:
        print(json.dumps(answer))
    elif published:
        print(published[0]["cursor"])
    if not published:
        said = answer.get("error") or {
            "code": f"HTTP status {status}", "message": "is this the address of a Tidings server?"
        }  # fmt: skip
        if not as_json:
            print(f"error: {escaped(said['code'])}: {escaped(said['message'])}", file=sys.stderr)
        raise typer.Exit(1)


def _payload(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise UsageError(f"the payload is not JSON: {error}") from None


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _post(url: str, name: str, body: dict[str, Any], api_key: str) -> tuple[int, dict[str, Any]]:
    """POST JSON. Raises UsageError where there is no such server."""
    try:
        parts = urlsplit(url)
        kind = {"http": HTTPConnection, "https": HTTPSConnection}[parts.scheme]
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS_MAX)
    except (KeyError, ValueError, HTTPException):
        raise UsageError(f"{escaped(url)[:80]!r} is not a URL of a server, such as {DEFAULT_URL}") from None
    path = f"{parts.path.rstrip('/') or DEFAULT_PREFIX}/{name}"
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(body).encode(), headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, HTTPException, ValueError) as error:
        raise UsageError(f"cannot reach {escaped(url)}: {error}") from None
    finally:
        connection.close()
    try:
        value = json.loads(text)
    except ValueError:
        value = {}
    return answer.status, value if isinstance(value, dict) else {}
