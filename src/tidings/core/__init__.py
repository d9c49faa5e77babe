"""The law: no await, no I/O, no clock, no randomness.

What enters this room is what the product *means*: events, cursors, frames, the life of a connection
(:mod:`.session`), of a subscription (:mod:`.subscription`), and who listens to what (:mod:`.hub`).
Inputs come in as values, effects go out as values; time and random values are arguments. So all of it
runs in a test, in a simulation or under any event loop, unchanged. What may not enter: sockets, brokers,
tasks, the log. The contract in ``pyproject.toml`` (import-linter) holds this.
"""
