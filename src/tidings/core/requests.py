"""One ``subscribe`` frame on its way: refused topics are told one by one, the rest in one ``subscribed``."""

from __future__ import annotations

from collections.abc import Mapping

from tidings.core.frames import FrameId, Subscribed, TopicAnswer, echo
from tidings.core.subscription import Subscription


class SubscribeRequest:
    """Collects the answers of one frame; it can be answered when no topic is pending.

    :ivar asked: the subscriptions that this frame began, and for which it asks the authorizer.
    :ivar renewal: no client's frame, but a second look at rights after a renewed token.
    """

    __slots__ = ("answers", "asked", "frame_id", "pending", "renewal", "since")

    def __init__(self, frame_id: FrameId | None, since: Mapping[str, str], *, renewal: bool = False) -> None:
        self.frame_id = frame_id
        self.since = since
        self.renewal = renewal
        self.asked: dict[str, Subscription] = {}
        self.pending: set[str] = set()
        self.answers: dict[str, TopicAnswer] = {}

    def answer(self, topic: str, answer: TopicAnswer) -> None:
        """The topic is settled, if this frame waits for it."""
        if topic in self.pending:
            self.pending.remove(topic)
            self.answers[topic] = answer

    def drop(self, topic: str) -> bool:
        """The topic was refused or left meanwhile: it stands in no answer. Whether the frame waited for it."""
        waited = topic in self.pending
        self.pending.discard(topic)
        self.answers.pop(topic, None)
        return waited

    def frame(self) -> Subscribed:
        """The answer, even when empty."""
        return Subscribed(topics=self.answers, id=echo(self.frame_id))
