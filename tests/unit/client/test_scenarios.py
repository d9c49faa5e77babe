"""The machine follows the scripts of ``spec/scenarios``, which its TypeScript twin follows too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tidings.client.machine import Machine, Options
from tidings.client.machine.machine import TABLE, TIMER_TABLE, _____
from tidings.client.machine.values import STATES, TIMERS

FOLDER = Path(__file__).resolve().parents[3] / "spec" / "scenarios"
FILES = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PRELUDES: dict[str, Any] = {one["name"]: one for one in FILES["preludes.json"]["scenarios"]}
SCENARIOS = [(name, one) for name, file in FILES.items() for one in file["scenarios"]]

Outcome = dict[str, Any]
_OWN = ("at", "random", "effects", "timers")


class Player:
    """Runs scripts; refuses one that fires a timer at another time than it is due, or passes one by."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.chain = self._chain(scenario)
        options = {name: value for one in self.chain for name, value in one.get("options", {}).items()}
        if "transports" in options:
            options["transports"] = tuple(options["transports"])
        self.machine = Machine(Options(**options))
        self.due: dict[str, float] = {}
        self.cells: set[tuple[str, str]] = set()

    def _chain(self, scenario: dict[str, Any]) -> list[dict[str, Any]]:
        given = scenario.get("given")
        return [*(self._chain(PRELUDES[given]) if given else []), scenario]

    def play(self) -> list[Outcome]:
        for one in self.chain[:-1]:
            for step in one["steps"]:
                self._take(step)
        return [self._take(step) for step in self.chain[-1]["steps"]]

    def _take(self, step: dict[str, Any]) -> Outcome:
        name = f"timer.{step['name']}" if step["input"] == "timer" else step["input"]
        self.cells.add((self.machine.state, name))
        if step["input"] == "timer":
            assert self.due.pop(step["name"], None) == step["at"], f"{step} is not due"
        assert not [name for name, at in self.due.items() if at < step["at"]], f"a timer was due before {step}"
        input_ = {field: value for field, value in step.items() if field not in _OWN}
        outcome: Outcome = {"effects": [], "timers": {}}
        for effect in self.machine.handle(input_, step["at"], step.get("random", 0.5)):
            if effect["effect"] == "timer":
                outcome["timers"][effect["name"]] = effect["ms"]
                self.due[effect["name"]] = step["at"] + effect["ms"]
            elif effect["effect"] == "cancel":
                outcome["timers"][effect["name"]] = None
                self.due.pop(effect["name"], None)
            else:
                outcome["effects"].append(effect)
        return outcome


@pytest.mark.parametrize(("file", "scenario"), SCENARIOS, ids=[f"{f}: {s['name']}" for f, s in SCENARIOS])
def test_scenario(file: str, scenario: dict[str, Any]) -> None:
    for number, (step, outcome) in enumerate(zip(scenario["steps"], Player(scenario).play(), strict=True)):
        expected = {"effects": step["effects"], "timers": step["timers"]}
        assert outcome == expected, f"step {number}, at {step['at']}"


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 160


def test_the_table_is_total_and_each_transition_is_taken_by_a_scenario() -> None:
    assert set(TIMER_TABLE) == set(TIMERS)
    cells = {**TABLE, **{f"timer.{name}": row for name, row in TIMER_TABLE.items()}}
    assert all(len(row) == len(STATES) for row in cells.values())
    taken: set[tuple[str, str]] = set()
    for _, scenario in SCENARIOS:
        player = Player(scenario)
        player.play()
        taken |= player.cells
    handled = {
        (s, name) for name, row in cells.items() for s, cell in zip(STATES, row, strict=True) if cell is not _____
    }
    assert handled - taken == set()
