"""The example's own tests, on a real PostgreSQL instead of SQLite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.databases import postgresql

ROOT = Path(__file__).resolve().parents[2]


def test_the_gift_list_on_postgresql() -> None:
    with postgresql() as address:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/gift-list/tests"],
            cwd=ROOT,
            env={**os.environ, "GIFT_LIST_TEST_DATABASE_URL": f"postgresql+asyncpg://postgres@{address}/postgres"},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-1000:]
    assert int(passed[1]) >= 10, "nothing to speak of was run"
