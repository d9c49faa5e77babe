"""What tests of your own need: clients without sockets, time that you move, and the contracts as checks.

    async with testing.connect(live, user="ana") as ana:
        await ana.subscribe("gift-list:1")
        await live.publish("gift-list:1", "ADDED", entity_id="kite")
        event = await ana.receive_event()

What may enter: things that only tests import. Nothing else of Tidings imports this package.
"""

from tidings.client.errors import ConnectionEnded, PublishFailed, TopicDenied
from tidings.testing.advancing import advance
from tidings.testing.broker_rig import BrokerMaker, Recorder
from tidings.testing.broker_suite import BROKER_CHECKS, BrokerCheck, check_broker
from tidings.testing.client import Client, NothingCame, SomethingCame, Subscribed
from tidings.testing.clock import FakeClock
from tidings.testing.connecting import connect, started
from tidings.testing.presence_rig import PresenceMaker, PresenceRecorder
from tidings.testing.presence_suite import PRESENCE_CHECKS, PresenceCheck, check_presence
from tidings.testing.recording import Published, published

__all__ = [
    "BROKER_CHECKS",
    "BrokerCheck",
    "BrokerMaker",
    "Client",
    "ConnectionEnded",
    "FakeClock",
    "NothingCame",
    "PRESENCE_CHECKS",
    "PresenceCheck",
    "PresenceMaker",
    "PresenceRecorder",
    "Published",
    "PublishFailed",
    "Recorder",
    "SomethingCame",
    "Subscribed",
    "TopicDenied",
    "advance",
    "check_broker",
    "check_presence",
    "connect",
    "published",
    "started",
]
