"""``curl`` against the HTTP surface of ``tidings serve``."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, NamedTuple

import pytest

CURL = shutil.which("curl")
CURL_SECONDS_MAX = 20


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


def curl(*arguments: str, text: str = "") -> Answer:
    assert CURL is not None, "curl is needed"
    done = subprocess.run(
        [CURL, "--silent", "--show-error", "--include", "--noproxy", "*", *arguments],
        input=text, capture_output=True, text=True, timeout=CURL_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    while head.startswith("HTTP/1.1 100"):
        head, _, body = body.partition("\n\n")
    first, *lines = head.splitlines()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, json.loads(body))


def event(topic: str, number: int) -> dict[str, Any]:
    return {"topic": topic, "event": "UPDATED", "data": {"entity_id": f"g-{number}", "payload": {"n": number}}}


FOREIGN = ("--header", "Origin: https://evil.example")
JSON_TYPE = ("--header", "Content-Type: application/json")


@pytest.fixture
def key(server: Any) -> tuple[str, str]:
    return ("--header", f"Authorization: Bearer {server.api_key}")


def test_publish_one_an_array_and_lines(server: Any, key: tuple[str, str]) -> None:
    url, topic = f"{server.url}/publish", "gift-list:curl"
    one = curl(*key, *JSON_TYPE, "--data", json.dumps(event(topic, 1)), url)
    assert one.status == 200 and one.headers["content-type"] == "application/json"
    assert [p["topic"] for p in one.body["published"]] == [topic]
    array = curl(*key, *JSON_TYPE, "--data", json.dumps([event(topic, 2), event(topic, 3)]), url)
    lines = "\n".join(json.dumps(event(topic, number)) for number in (4, 5))
    ndjson = curl(*key, "--header", "Content-Type: application/x-ndjson", "--data-binary", "@-", url, text=lines)
    chunked = curl(
        *key, *JSON_TYPE, "--header", "Transfer-Encoding: chunked", "--data-binary", "@-", url,
        text=json.dumps(event(topic, 6)),
    )  # fmt: skip
    published = [p["cursor"] for a in (one, array, ndjson, chunked) for p in a.body["published"]]
    assert [cursor.partition("-")[2] for cursor in published] == ["1", "2", "3", "4", "5", "6"]
    assert len({cursor.partition("-")[0] for cursor in published}) == 1
    position = curl(*key, f"{server.url}/cursor?topic={topic}")
    assert position.body == {"cursors": {topic: published[-1]}}
    assert position.headers["tidings-cursor"] == f"{topic}={published[-1]}"


def test_a_repeat(server: Any, key: tuple[str, str]) -> None:
    body = json.dumps(event("gift-list:repeat", 1) | {"idempotency_key": "k-1"})
    answers = [curl(*key, *JSON_TYPE, "--data", body, f"{server.url}/publish") for _ in range(2)]
    assert answers[0].body == answers[1].body
    assert answers[0].body["published"][0]["cursor"].endswith("-1")


def test_one_bad_none_published(server: Any, key: tuple[str, str]) -> None:
    topic = "gift-list:whole"
    body = json.dumps([event(topic, 1), event("nocolon", 2)])
    refused = curl(*key, *JSON_TYPE, "--data", body, f"{server.url}/publish")
    assert refused.status == 400
    assert (refused.body["error"]["code"], refused.body["error"]["path"]) == ("bad_topic", "[1].topic")
    assert curl(*key, f"{server.url}/cursor?topic={topic}").body["cursors"][topic].endswith("-0")


def test_refusals(server: Any, key: tuple[str, str]) -> None:
    url = f"{server.url}/publish"
    body = json.dumps(event("gift-list:refused", 1))
    table = [
        (curl(*JSON_TYPE, "--data", body, url), 401, "unauthorized"),
        (curl("--header", "Authorization: Bearer no", *JSON_TYPE, "--data", body, url), 401, "unauthorized"),
        (curl(*key, "--data", body, url), 415, "unsupported_media_type"),
        (curl(*key, *JSON_TYPE, "--data", "{", url), 400, "bad_json"),
        (curl(*key, *JSON_TYPE, "--data-binary", "@-", url, text=" " * 1_100_000), 413, "body_too_large"),
        (curl(*key, *JSON_TYPE, *FOREIGN, "--data", body, url), 403, "origin_forbidden"),
    ]  # fmt: skip
    for answer, status, code in table:
        assert (answer.status, answer.body["error"]["code"]) == (status, code)
    chunked = curl(
        *key, *JSON_TYPE, "--header", "Transfer-Encoding: chunked", "--data-binary", "@-", url, text=" " * 1_100_000
    )
    assert chunked.status == 413


def test_token_disconnect_and_probes(server: Any, key: tuple[str, str]) -> None:
    made = curl(*key, *JSON_TYPE, "--data", '{"user":"u-9","ttl_seconds":60}', f"{server.url}/token")
    assert made.status == 200 and made.body["expires_in_seconds"] == 60 and made.body["token"].count(".") == 2
    gone = curl(*key, *JSON_TYPE, "--data", '{"user":"nobody"}', f"{server.url}/disconnect")
    assert gone.body == {"disconnected": 0}
    root = server.url.removesuffix("/realtime")
    assert curl(f"{root}/healthz").body == {"status": "ok"}
    assert curl(f"{root}/readyz").body == {"status": "ready"}
