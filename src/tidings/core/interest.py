"""What one session is interested in: its subscribe frames under way, and its subscriptions.

The last missed events and GoLive come out of one call, in one list: no event slips between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET

from tidings.core import inputs as i
from tidings.core.codes import ErrorCode, UnrecoveredReason, UnsubscribedReason
from tidings.core.cursor import Cursor
from tidings.core.effects import (
    Attach,
    Authorize,
    AuthorizePresence,
    Detach,
    Effect,
    Enter,
    GoLive,
    Leave,
    Locate,
    ReadMore,
    Replay,
    Send,
)
from tidings.core.errors import PeerError
from tidings.core.events import Publication
from tidings.core.frames import (
    Error,
    Presence,
    Subscribe,
    Subscribed,
    TopicAnswer,
    Unsubscribe,
    Unsubscribed,
    echo,
)
from tidings.core.limits import Limits, exceeds
from tidings.core.requests import SubscribeRequest
from tidings.core.seats import Seats, SeatState, no_presence
from tidings.core.subscription import State, Subscription, size_bytes
from tidings.core.topics import TopicKey, check_topic, is_wildcard

if TYPE_CHECKING:
    from tidings.core.subscription import Listener


class Interest:
    """Topic to subscription, and the frames that wait for an answer."""

    __slots__ = ("_limits", "_request_count", "_requests", "_seats", "_session", "_subscriptions")

    def __init__(self, session: Listener, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._subscriptions: dict[str, Subscription] = {}
        self._requests: dict[int, SubscribeRequest] = {}
        self._request_count = 0
        self._seats: Seats | None = None  # made when the session is first present somewhere

    def holds(self, topic: str) -> bool:
        """Whether publications of the topic reach the session by its name."""
        subscription = self._subscriptions.get(topic)
        return subscription is not None and subscription.attached

    def subscribe(self, frame: Subscribe, tenant: str | None) -> list[Effect]:
        """Begin a request. Raises PeerError where the frame is refused whole."""
        self._check_count(frame.topics)
        number, request = self._begin(SubscribeRequest(frame.id, frame.since))
        effects: list[Effect] = []
        for topic in dict.fromkeys(frame.topics):
            try:
                if frame.presence and is_wildcard(topic):
                    raise no_presence(topic)
                subscription = self._subscriptions.get(topic) or self._ask(request, topic, tenant)
            except PeerError as fault:
                effects.append(Send(Error.of(fault, frame.id, topic)))
                continue
            request.pending.add(topic)
            if frame.presence:
                self._take_seats().ask(subscription.key, frame.id)
            if subscription.state is State.LIVE:  # nothing is replayed, whatever `since` says
                effects.append(Locate(number, subscription))
            elif subscription.state is State.CATCHING_UP:
                request.answer(topic, TopicAnswer(cursor=_text(subscription.sent), recovered=True))
        if request.asked:
            effects.append(Authorize(number, tuple(request.asked)))
        return effects + self._finish()

    def _check_count(self, topics: Sequence[str]) -> None:
        if exceeds(len(topics), self._limits.topics_per_frame):
            raise PeerError(
                ErrorCode.TOO_MANY_TOPICS,
                f"The frame names {len(topics)} topics, and {self._limits.topics_per_frame} is the limit; "
                "split it into several.",
            )

    def _begin(self, request: SubscribeRequest) -> tuple[int, SubscribeRequest]:
        self._request_count += 1
        self._requests[self._request_count] = request
        return self._request_count, request

    def _ask(self, request: SubscribeRequest, topic: str, tenant: str | None) -> Subscription:
        check_topic(topic, wildcard=True)
        if exceeds(len(self._subscriptions) + 1, self._limits.topics_per_connection):
            raise PeerError(
                ErrorCode.TOO_MANY_SUBSCRIPTIONS,
                f"The connection holds {self._limits.topics_per_connection} topics, which is the limit; "
                "unsubscribe from some first.",
                topic=topic,
            )
        subscription = Subscription(self._session, TopicKey(tenant, topic))
        self._subscriptions[topic] = request.asked[topic] = subscription
        return subscription

    def unsubscribe(self, frame: Unsubscribe) -> list[Effect]:
        """Leave, whatever state the topics are in: a subscribe under way is cancelled. Raises PeerError as above."""
        self._check_count(frame.topics)
        effects: list[Effect] = []
        for topic in frame.topics:
            effects += self._leave(topic)
        answer: list[Effect] = [Send(Unsubscribed(topics=frame.topics, id=echo(frame.id)))]
        return effects + self._finish() + answer

    def _leave(self, topic: str) -> list[Effect]:
        subscription = self._subscriptions.pop(topic, None)
        if subscription is None:
            return []
        for request in self._requests.values():
            request.drop(topic)
        subscription.end()
        return [Detach(subscription), *self._stand_up(topic)]

    def look_again(self) -> list[Effect]:
        """After a renewed token: may the user still have what it holds?"""
        if not self._subscriptions:
            return []
        number, request = self._begin(SubscribeRequest(None, {}, renewal=True))
        request.asked.update(self._subscriptions)
        return [Authorize(number, tuple(request.asked))]

    def authorized(self, event: i.Authorized) -> list[Effect]:
        """Refused topics are told, one error each; the others are attached."""
        request = self._requests.get(event.request)
        if request is None:
            return []  # every topic of the frame was left meanwhile
        effects: list[Effect] = []
        for topic, subscription in request.asked.items():
            if self._subscriptions.get(topic) is not subscription:
                continue  # left meanwhile
            fault = event.faults.get(topic)
            if request.renewal:
                # Where nobody could say, what was granted stays until the next renewal.
                is_refused = fault is not None and fault.code is not ErrorCode.UNAVAILABLE
                effects += self._take_away(topic, UnsubscribedReason.PERMISSION_CHANGED) if is_refused else []
            elif fault is not None:
                waiting = [other.frame_id for other in self._requests.values() if topic in other.pending]
                effects += self._leave(topic)
                effects += [Send(Error.of(fault, frame_id, topic)) for frame_id in waiting]
            else:
                subscription.state = State.ATTACHING
                subscription.warning = event.warnings.get(topic)
                effects.append(_attach(subscription, request.since.get(topic)))
        if request.renewal:
            del self._requests[event.request]
        return effects + self._finish()

    def _take_away(self, topic: str, reason: UnsubscribedReason) -> list[Effect]:
        return [*self._leave(topic), Send(Unsubscribed(topics=[topic], reason=reason.value))]

    def located(self, event: i.Located) -> list[Effect]:
        """A topic that was live already: where it stands."""
        request = self._requests.get(event.request)
        if request is not None:
            topic = event.subscription.key.topic
            request.answer(topic, TopicAnswer(cursor=_text(event.cursor), recovered=event.cursor is not None))
        return self._finish()

    def attached(self, event: i.Attached) -> list[Effect]:
        """The start of a subscription is known; its events follow when its frame is answered."""
        subscription = event.subscription
        if subscription.state is not State.ATTACHING:
            return [Detach(subscription)]  # left meanwhile
        subscription.state = State.READY
        subscription.sent = event.start
        subscription.first_page = event.page
        answer = _answer(event.start, event.reason, subscription.warning)
        for request in self._requests.values():
            request.answer(subscription.key.topic, answer)
        return self._finish()

    def _finish(self) -> list[Effect]:
        """Answer every frame that waits for nothing more, then let its subscriptions go on."""
        effects: list[Effect] = []
        for number, request in list(self._requests.items()):
            if request.pending or request.renewal:
                continue
            del self._requests[number]
            effects.append(Send(request.frame()))
            effects += self._sit_down(request.answers)
            page_bytes = 0
            for topic in request.answers:
                subscription = self._subscriptions[topic]
                if subscription.state is State.READY:
                    page, subscription.first_page = subscription.first_page, ()
                    page_bytes += size_bytes(page)
                    # One page for the frame; the topics beyond it take their turns as the sink drains.
                    later = page and exceeds(page_bytes, self._limits.recovery_page_bytes)
                    effects += self._read_later(subscription) if later else self._advance(subscription, page)
        if not self._requests:
            self._requests = {}  # a dict that was in use keeps its table, and this one is empty nearly always
        return effects

    def _read_later(self, subscription: Subscription) -> list[Effect]:
        subscription.state = State.CATCHING_UP
        return [ReadMore(subscription)]

    def _advance(self, subscription: Subscription, page: Sequence[Publication]) -> list[Effect]:
        """Send what is due; live it is in the same step when that is all."""
        if subscription.wildcard:
            return self._go_live(subscription)
        subscription.state = State.CATCHING_UP
        if subscription.sent is None:
            return []  # the broker did not answer; the driver goes on trying, and hands in Broken
        due, whole = subscription.merge(page, self._limits.recovery_page_bytes)
        user, session_id = self._session.user, self._session.id
        effects: list[Effect] = [
            Replay(publication)
            for publication in due
            if publication.exclude is None or not publication.exclude.covers(user, session_id)
        ]
        return effects + (self._go_live(subscription) if whole else [ReadMore(subscription)])

    def _go_live(self, subscription: Subscription) -> list[Effect]:
        subscription.go_live()
        return [GoLive(subscription)]

    def page_read(self, event: i.PageRead) -> list[Effect]:
        """More of what was missed."""
        if event.subscription.state is not State.CATCHING_UP:
            return []
        return self._advance(event.subscription, event.page)

    def broken(self, event: i.Broken) -> list[Effect]:
        """What was missed cannot be given whole: told, never silent (promise 1)."""
        subscription = event.subscription
        topic = subscription.key.topic
        if subscription.state not in (State.LIVE, State.CATCHING_UP):
            return []
        news = Send(Subscribed(topics={topic: _answer(event.start, event.reason, None)}))
        if subscription.state is State.LIVE:
            return [news]
        subscription.sent = event.start
        return [news, *self._advance(subscription, ())]

    # Presence: see .seats.

    def be_present(self, frame: Presence, now: float) -> list[Effect]:
        """Take a seat, give it up, or change its state. Raises PeerError."""
        topic = frame.topic
        subscription = self._subscriptions.get(topic)
        if subscription is None:
            raise no_presence(topic, f"The connection has not subscribed to {topic}; do so first.")
        if frame.leave:
            return self._stand_up(topic)
        seats = self._take_seats()
        if (fault := seats.too_often(topic, now)) is not None:
            return [Send(Error.of(fault, frame.id))]  # no bad frame, only a fast client
        state = seats.read_state(frame)
        seat = seats.ask(subscription.key, frame.id)
        if state is not None:
            seat.state = state
        if seat.standing is SeatState.TAKEN:
            return [] if state is None else [Enter(seat)]
        return self._sit_down([topic]) if subscription.state in (State.LIVE, State.CATCHING_UP) else []

    def _take_seats(self) -> Seats:
        if self._seats is None:
            self._seats = Seats(self._limits)
        return self._seats

    def _sit_down(self, topics: Iterable[str]) -> list[Effect]:
        """The topics are held: the rules are asked for those where the session wants to be present."""
        effects: list[Effect] = []
        for topic in topics if self._seats is not None else ():
            seat = self._take_seats().get(topic)
            if seat is not None and seat.standing is SeatState.WAITING:
                seat.standing = SeatState.ASKED
                effects.append(AuthorizePresence(seat))
        return effects

    def presence_authorized(self, event: i.PresenceAuthorized) -> list[Effect]:
        """The rules have spoken. Refused, the subscription stands."""
        seat, topic = event.seat, event.seat.key.topic
        if self._seats is None or self._seats.get(topic) is not seat:
            return []  # left meanwhile
        if event.fault is not None:
            self._seats.drop(topic)
            return [Send(Error.of(event.fault, seat.frame_id, topic))]
        seat.standing = SeatState.TAKEN
        return [Enter(seat)]

    def _stand_up(self, topic: str, *, is_held: bool = False) -> list[Effect]:
        seat = None if self._seats is None else self._seats.drop(topic)
        return [] if seat is None else [Leave(seat, is_held)]

    def clear(self, *, is_held: bool) -> list[Effect]:
        """The session ends: everything is left.

        :param is_held: where it was present, the others need not be told at once: it may be back in a moment.
        """
        effects: list[Effect] = []
        for topic in [] if self._seats is None else self._seats.all():
            effects += self._stand_up(topic, is_held=is_held)
        for subscription in self._subscriptions.values():
            subscription.end()
            effects.append(Detach(subscription))
        self._subscriptions.clear()
        self._requests.clear()
        return effects


def _attach(subscription: Subscription, since: str | None) -> Attach:
    if since is None:
        return Attach(subscription, None, UnrecoveredReason.NO_CURSOR)
    try:
        return Attach(subscription, Cursor.parse(since), UnrecoveredReason.NO_CURSOR)
    except ValueError:
        return Attach(subscription, None, UnrecoveredReason.BAD_CURSOR)


def _answer(start: Cursor | None, reason: UnrecoveredReason | None, warning: str | None) -> TopicAnswer:
    return TopicAnswer(
        cursor=_text(start),
        recovered=reason is None,
        reason=UNSET if reason is None else reason.value,
        warning=UNSET if warning is None else warning,
    )


def _text(cursor: Cursor | None) -> str | None:
    return None if cursor is None else str(cursor)
