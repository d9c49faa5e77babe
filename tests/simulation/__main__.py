"""``python -m tests.simulation SEED [SEED...]``: play seeds again, told as they go with ``--trace``.

``--from A --count N`` plays a range, and prints the counters of the interesting states as JSON. What fails is
played again with fewer faults, until none can be left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable

from tests.simulation.plan import Plan, draw_plan
from tests.simulation.world import play

SLOW_SECONDS = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("seeds", nargs="*", type=int)
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--without", default="", help="faults to leave out, with commas")
    parser.add_argument("--trace", action="store_true", help="tell what happens")
    parser.add_argument("--keep-going", action="store_true", help="play on after a failure")
    parser.add_argument("--whole", action="store_true", help="do not look for fewer faults")
    asked = parser.parse_args()
    without = [name for name in asked.without.split(",") if name]
    seeds: Iterable[int] = asked.seeds or range(asked.first, asked.first + asked.count)
    total: Counter[str] = Counter()
    failed = 0
    for seed in seeds:
        began = time.perf_counter()
        plan = draw_plan(seed).without(*without)
        try:
            total += play(seed, plan, print if asked.trace else None)
        except Exception as error:
            failed += 1
            _tell(seed, plan, error, without, whole=asked.whole)
            if not asked.keep_going:
                break
        finally:
            if (took := time.perf_counter() - began) > SLOW_SECONDS:
                print(f"seed {seed} took {took:.1f} s", file=sys.stderr)
    print(json.dumps(dict(sorted(total.items()))))
    return 1 if failed else 0


def _tell(seed: int, plan: Plan, error: Exception, without: list[str], *, whole: bool) -> None:
    print(f"seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
    if not isinstance(error, AssertionError):
        traceback.print_exception(error)
    left_out = [*without, *([] if whole else shrink(seed, plan))]
    option = f" --without {','.join(left_out)}" if left_out else ""
    print(f"play it again: python -m tests.simulation {seed}{option} --trace", file=sys.stderr)
    print(f"it needs: {', '.join(plan.without(*left_out).faults())}", file=sys.stderr)


def shrink(seed: int, plan: Plan) -> list[str]:
    """The faults without which it still fails, each tried once."""
    left_out: list[str] = []
    for name in plan.faults():
        try:
            play(seed, plan.without(*left_out, name))
        except Exception:
            left_out.append(name)
    return left_out


if __name__ == "__main__":
    sys.exit(main())
