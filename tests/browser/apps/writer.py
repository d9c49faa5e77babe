"""Adds gifts and does not give up: ``python -m tests.browser.apps.writer URL MEMBER LIST COUNT``.

Each gift has an id that is chosen here and a name that nothing else has, so a repeat of a request whose answer
was lost adds nothing. Prints the name of each gift that the server has confirmed; ends when all are.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

import httpx

RETRY_SECONDS = 0.05
# A person's pace would not meet the server's end; this does.
PAUSE_SECONDS = 0.1


def insist(client: httpx.Client, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """POST until the server says that it is so."""
    while True:
        try:
            answer = client.post(path, json=body, headers=headers)
            if answer.status_code < 500:
                answer.raise_for_status()
                said: dict[str, Any] = answer.json()
                return said
        except httpx.TransportError:
            pass
        time.sleep(RETRY_SECONDS)


def main(url: str, member: str, list_id: str, count: int) -> None:
    with httpx.Client(base_url=url, timeout=5) as client:
        token = insist(client, "/api/login", {"member_id": member}, {})["token"]
        headers = {"Authorization": f"Bearer {token}"}
        for number in range(count):
            gift = {"id": uuid.uuid4().hex, "name": f"Written {number:03}", "note": "", "price": None}
            insist(client, f"/api/lists/{list_id}/gifts", gift, headers)
            print(gift["name"], flush=True)
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
