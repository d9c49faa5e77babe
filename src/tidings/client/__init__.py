"""The Python client: subscribe to a Tidings server from a script, a worker or a test.

    async with connect("https://app.example.com", token=token) as live:
        async for event in live.subscribe("gift-list:123"):
            print(event.event, event.payload)

``machine`` holds what the protocol means, without I/O; ``link`` is one WebSocket, ``stream``
the events on their way to one loop; ``live`` joins them.
It sees the core and nothing else of the server.
"""

from tidings.client.errors import ConnectionEnded, PublishFailed, TopicDenied
from tidings.client.live import Auth, Live, Status, connect
from tidings.client.stream import Gap
from tidings.core.events import Event, EventData

__all__ = [
    "Auth",
    "ConnectionEnded",
    "Event",
    "EventData",
    "Gap",
    "Live",
    "PublishFailed",
    "Status",
    "TopicDenied",
    "connect",
]
