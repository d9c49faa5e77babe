"""A copy of the source with a mistake in it, and a test or the simulation run on that copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.mutations.by_name import SIMULATION, Edit

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 500


def plant(folder: Path, edits: tuple[Edit, ...]) -> None:
    """Copy what tests need, and make the edits. Raises AssertionError for one that no longer fits."""
    for part in ("src", "tests", "spec"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for edit in edits:
        file = folder / "src" / "tidings" / edit.file
        text = file.read_text()
        assert text.count(edit.before) == 1, f"{edit.file}: the mistake no longer fits the code, plant it anew"
        file.write_text(text.replace(edit.before, edit.after))


def is_caught(folder: Path, by: str) -> tuple[bool, str]:
    """Whether the test fails on the copy, or a seed of the simulation; and what it said."""
    if by == SIMULATION:
        command = ["-m", "tests.simulation", "--from", "0", "--count", str(SEEDS), "--whole"]
    else:
        command = ["-m", "pytest", "-x", "-q", "-m", "not nightly", "-p", "no:cacheprovider", by]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder, env={**os.environ, "PYTHONPATH": f"{folder / 'src'}:{folder}", "TESTS_NO_SHRINK": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # 1 is a failed test or seed; what cannot be imported or collected proves nothing.
    return done.returncode == 1, (done.stdout + done.stderr)[-800:]
