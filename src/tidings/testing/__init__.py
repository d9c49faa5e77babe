"""What tests of your own need: time that you move, and the contracts as checks.

What may enter: things that only tests import. Nothing else of Tidings imports this package.
"""

from tidings.testing.broker_rig import BrokerMaker, Recorder
from tidings.testing.broker_suite import BROKER_CHECKS, BrokerCheck, check_broker
from tidings.testing.clock import FakeClock

__all__ = ["BROKER_CHECKS", "BrokerCheck", "BrokerMaker", "FakeClock", "Recorder", "check_broker"]
