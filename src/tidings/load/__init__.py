"""The load side for users: many raw subscribers, one publisher, and a ledger of what came.

It reads frames as the server sent them. A client library drops what it has seen and asks for what it missed, and so
would hide just what is counted here. Pure: ``ledger``, ``histogram``, ``report``; with I/O: ``dialing``,
``subscriber``, ``publishers``, ``run``. Sees ``core`` and ``client``; only ``cli`` sees it.
"""

from tidings.load.dialing import Refused
from tidings.load.report import Report
from tidings.load.run import Load, Notify, Progress, run

__all__ = ["Load", "Notify", "Progress", "Refused", "Report", "run"]
