"""The dial that runs beside a living connection, and the step up when it is welcomed."""

from __future__ import annotations

from tidings.client.machine import connection, ladder, publishes, subscriptions
from tidings.client.machine.context import Climbing, Context
from tidings.client.machine.values import Frame, Input

_NORMAL = 1000


def on_climbing(m: Context, climbing: Climbing, input: Input) -> None:
    """An input of the dial that runs beside the living connection."""
    generation, transport, name = climbing.generation, climbing.transport, input["input"]
    if name == "token":
        climbing.token = input["token"]
        m.effects.append({"effect": "dial", "generation": generation, "transport": transport, "token": climbing.token})
    elif name == "open":
        if climbing.token is not None:
            frame = {"type": "auth", "token": climbing.token}
            m.effects.append({"effect": "send", "frame": frame, "generation": generation})
    elif name == "frame":
        frame = input["frame"]
        if frame is not None and frame.get("type") == "welcome":
            _move_up(m, climbing, frame)
    else:
        m.climbing = None
        ladder.on_climb_missed(m, transport)


def _move_up(m: Context, to: Climbing, welcome: Frame) -> None:
    """From here on only the new connection is heard.

    What the old one had not delivered yet comes again, for the topics are asked for at their positions.
    """
    m.effects.append({"effect": "drop", "generation": m.generation, "code": _NORMAL})
    m.cancel("watchdog", "probe", "stable", "reauth", "move", "retry")
    m.generation = to.generation
    m.transport = to.transport
    m.climbing = None
    m.authorizing = False
    m.auth_request = None
    subscriptions.move(m)
    publishes.resend(m)
    connection.go_live(m, welcome)
