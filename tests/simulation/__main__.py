"""``python -m tests.simulation SEED [SEED...]``: play seeds again."""

import sys

from tests.simulation.world import play

if len(sys.argv) < 2:
    sys.exit("give the seeds to play")
for text in sys.argv[1:]:
    print(text, dict(play(int(text))))
