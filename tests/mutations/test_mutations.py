"""Proof that the tests of the core find bugs: each of these mistakes, made in a copy, must make them fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
SUITES = ["tests/unit/engine", "tests/unit/core/test_session.py"]


SIMULATION = ["tests/simulation"]


class Mutation(NamedTuple):
    file: str
    before: str
    after: str
    suites: list[str] = SUITES


MUTATIONS = {
    "what is held during recovery is dropped": Mutation(
        "core/subscription.py", "            due += held\n", "            pass\n"
    ),
    "a hole between history and what is held is not looked for": Mutation(
        "core/subscription.py",
        "whole = self.held_after.epoch == sent.epoch and sent.offset >= self.held_after.offset",
        "whole = True",
    ),
    "what is held overflows in silence": Mutation(
        "core/subscription.py", "            self.start_holding(publication.cursor)\n", "            self._held = []\n"
    ),
    "a subscription goes live ahead of its feed": Mutation(
        "engine/feeds.py", "await feed.reached(publications[-1].cursor if publications else since)", "pass"
    ),
    "a hole in the live messages is not looked for": Mutation(
        "engine/feed.py", "if offset == self._position.offset + 1:", "if True:"
    ),
    "positions are never checked": Mutation(
        "engine/feeds.py", "            feed.repair_if_quiet()", "            pass"
    ),
    "off by one where history was trimmed": Mutation(
        "core/recovery.py", "expected = since.offset + 1", "expected = since.offset"
    ),
    "the epoch is ignored": Mutation("core/recovery.py", "if head.epoch != since.epoch:", "if False:"),
    "a position above the head is nothing missed": Mutation(
        "core/recovery.py", "if since.offset > head.offset:", "if False:"
    ),
    "exclude is forgotten in recovery": Mutation(
        "core/interest.py",
        "if publication.exclude is None or not publication.exclude.covers(user, session_id)",
        "if True",
    ),
    "wildcard and name both deliver": Mutation(
        "core/hub.py",
        "listeners.extend(s for s in wildcard.live if not s.session.holds(topic))",
        "listeners.extend(wildcard.live)",
    ),
    "events go on after unsubscribed": Mutation(
        "core/hub.py", "            if subscription.state is not live:\n                continue\n", ""
    ),
    "the key of a topic has no tenant": Mutation(
        "core/interest.py", "TopicKey(tenant, topic)", "TopicKey(None, topic)"
    ),
    "a key of idempotency has no user": Mutation(
        "engine/publisher.py",
        'f"{len(identity.user)}:{identity.user}:{idempotency_key}"',
        "idempotency_key",
    ),
    "the server never speaks first": Mutation("core/deadlines.py", "due.append(Due.SPEAK)", "pass"),
    "a renewal may change the user": Mutation(
        "core/session.py", "if not self.identity.same_person(event.identity):", "if False:"
    ),
    "the client does not keep its position": Mutation(
        "client/machine/delivery.py", "topic.cursor = cursor  # before any handler runs", "pass", SIMULATION
    ),
    "the client asks for nothing that it missed": Mutation(
        "client/machine/subscriptions.py", '**({"since": since} if since else {})', "**{}", SIMULATION
    ),
    "the client keeps a gap to itself": Mutation(
        "client/machine/delivery.py", "    if told:\n", "    if told and reason != 'trimmed':\n", SIMULATION
    ),
    "the client never doubts a silent link": Mutation(
        "client/machine/connection.py",
        '        m.send({"type": "ping"})\n        m.arm("probe", m.options.probe_ms)',
        "        pass",
        ["tests/unit/client"],
    ),
    "the simulation sees a hole in the live messages": Mutation(
        "engine/feed.py", "if offset == self._position.offset + 1:", "if True:", SIMULATION
    ),
}


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_caught(name: str, tmp_path: Path) -> None:
    mutation = MUTATIONS[name]
    for part in ("src", "tests", "spec"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    mutated = tmp_path / "src" / "tidings" / mutation.file
    text = mutated.read_text()
    assert text.count(mutation.before) == 1, "the mutation no longer fits the code: write it anew"
    mutated.write_text(text.replace(mutation.before, mutation.after))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not nightly", "-p", "no:cacheprovider", *mutation.suites],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'src'}:{tmp_path}", "TESTS_NO_SHRINK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"survived: {done.stdout[-500:]}"
