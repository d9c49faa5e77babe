"""``python -m tests.faults.fleet --broker sqlite --clients 500 --seconds 120 --kills 10 --drains 5``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.fleet.run import Plan, run


def main() -> None:
    options = argparse.ArgumentParser(prog="tests.faults.fleet", description="Run the fleet once, and count.")
    options.add_argument("--broker", choices=["memory", "sqlite"], default="sqlite")
    for name, default in {"clients": 500, "seconds": 120, "kills": 10, "drains": 5, "seed": 1}.items():
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--window-seconds", type=float, default=5)
    options.add_argument("--folder", help="where logs are kept; else they go with the end")
    given = vars(options.parse_args())
    folder = given.pop("folder")
    with tempfile.TemporaryDirectory() as fallback:
        place = Path(folder or fallback)
        place.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(run(Plan(**given), place, lambda text: print(text, file=sys.stderr, flush=True)))
    print(report.line)
    verdict = report.verdict
    sys.exit(bool(verdict.lost or verdict.doubled or verdict.reordered or verdict.restarts_untold or verdict.wrong))


if __name__ == "__main__":
    main()
