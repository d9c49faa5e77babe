"""The walk of one publication to all its listeners, in slices between which everything may change."""

from __future__ import annotations

from tidings.core.cursor import Cursor
from tidings.core.events import Publication
from tidings.core.framing import Framed
from tidings.core.hub import Hub
from tidings.core.limits import Limits
from tidings.core.subscription import Subscription
from tidings.core.topics import TopicKey

KEY = TopicKey(None, "gift-list:1")


class Listener:
    user: str | None = None

    def __init__(self, number: int) -> None:
        self.id = str(number)
        self.got: list[Framed] = []

    def push(self, framed: Framed) -> None:
        self.got.append(framed)

    def holds(self, topic: str) -> bool:
        return False


def live_on(hub: Hub, listener: Listener) -> Subscription:
    subscription = Subscription(listener, KEY)
    hub.hold(subscription)
    subscription.go_live()
    hub.go_live(subscription)
    return subscription


def test_f53_who_leaves_during_a_fan_out_gets_nothing_more() -> None:
    """Invariant 14: after ``unsubscribed``, silence; and who comes back meanwhile starts after it."""
    hub = Hub(Limits())
    listeners = [Listener(number) for number in range(10)]
    subscriptions = [live_on(hub, listener) for listener in listeners]
    walk = hub.deliver(Publication(KEY, Cursor("e", 1), b"{}"))
    assert not walk.step(4)
    for number in (2, 5, 7):
        hub.remove(subscriptions[number])
        subscriptions[number].end()
    live_on(hub, listeners[7])
    while not walk.step(4):
        pass
    assert [len(listener.got) for listener in listeners] == [1, 1, 1, 1, 1, 0, 1, 0, 1, 1]
