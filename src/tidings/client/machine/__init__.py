"""The client's connection machine, without I/O: the twin of ``js/src/core/machine``.

Inputs and effects are the JSON objects of ``spec/scenarios/README.md``, so that both machines run the same
scripts. No await, no I/O, no clock, no randomness: time (milliseconds) and a random number come with each input.
"""

from tidings.client.machine.machine import Machine, TopicSnapshot
from tidings.client.machine.values import Effect, Input, Options

__all__ = ["Effect", "Input", "Machine", "Options", "TopicSnapshot"]
