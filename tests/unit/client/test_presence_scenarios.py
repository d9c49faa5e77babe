"""The presence machine follows the scripts of ``spec/presence``, which its TypeScript twin follows too."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tidings.client.machine.presence import PresenceMachine

FILE = Path(__file__).resolve().parents[3] / "spec" / "presence" / "scenarios.json"
SCENARIOS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))["scenarios"]
TOPICS = ("gift-list:1", "gift-list:2")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_scenario(scenario: dict[str, Any]) -> None:
    machine, due = PresenceMachine(), None
    for number, step in enumerate(scenario["steps"]):
        where = f"step {number}, at {step['at']}"
        if step["input"] == "timer":
            assert due == step["at"], f"{where}: the timer is not due"
            due = None
        assert due is None or due >= step["at"], f"{where}: the timer was due before"
        effects = machine.handle({k: v for k, v in step.items() if k not in ("at", "effects", "view")}, step["at"])
        assert effects == step["effects"], where
        due = next((step["at"] + e["ms"] for e in reversed(effects) if e["effect"] == "timer"), due)
        rooms = {topic: machine.view(topic) for topic in TOPICS}
        assert {topic: asdict(room) for topic, room in rooms.items() if room is not None} == step["view"], where


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) > 20
