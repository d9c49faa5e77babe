"""The Python client: subscribe to a Tidings server from a script, a worker or a test.

    async with connect("https://app.example.com", token=token) as live:
        async for event in live.subscribe("gift-list:123"):
            print(event.event, event.payload)

``machine`` holds what the protocol means, without I/O; ``transports`` has one connection each, over WebSocket, event
streams and polls; ``driver`` does what the machine says; ``stream`` has the events on their way to one loop, and
``live`` is what the application holds. It sees the core and nothing else of the server.
"""

from tidings.client.driver import Auth
from tidings.client.errors import ConnectionEnded, PublishFailed, TopicDenied
from tidings.client.live import TRANSPORTS, Live, connect
from tidings.client.presence import Member, Presence
from tidings.client.responses import Mutation
from tidings.client.status import Status
from tidings.client.stream import Gap
from tidings.core.events import Event, EventData

__all__ = [
    "TRANSPORTS",
    "Auth",
    "ConnectionEnded",
    "Event",
    "EventData",
    "Gap",
    "Live",
    "Member",
    "Mutation",
    "Presence",
    "PublishFailed",
    "Status",
    "TopicDenied",
    "connect",
]
