"""A link over long-poll: requests that are held until something comes, and nothing kept in between.

The server knows no session here, so this link knows the topics and their positions, and speaks to the machine as a
server would: ``welcome`` when a first answer has come, one ``subscribed`` for each question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from tidings.client.transports.http import HTTP_FAULTS, BadAnswer, HttpClient
from tidings.client.transports.link import Dial, Frame, Link, parse_frame
from tidings.client.transports.poll_topics import PollTopics, Question
from tidings.client.transports.refusals import SIGN_OF_LIFE, Refusal, refusal_of

TOPICS_MAX = 100
EMPTY_PAUSE_SECONDS = 1.0  # answers that bring nothing are not asked for more often than this
ANSWER_SECONDS_MAX = 35.0  # a poll is held for 25 s: one without an answer goes over a connection that is dead
ANSWER_BYTES_MAX = 64 * 1024 * 1024  # many frames; a server sends about 1 MB, unless its limits are off
WELCOME: Frame = {
    "type": "welcome",
    "topic": "system",
    "heartbeat_seconds": 25,
    "expires_in_seconds": None,
    "limits": {"topics_per_frame": TOPICS_MAX},
}
_NO_PUBLISHING = Refusal(
    None, "unavailable", "There is only polling at the moment, which cannot publish; try again later.", None, ""
)


class _Group:
    """The requests of up to a hundred topics.

    :ivar following: the task that asks one request after the other.
    :ivar asking: the one that is held.
    :ivar changed: other topics are to be asked for.
    """

    def __init__(self) -> None:
        self.topics = PollTopics()
        self.following: asyncio.Task[None] | None = None
        self.asking: asyncio.Task[list[Frame] | None] | None = None
        self.changed = asyncio.Event()

    def ask_again(self) -> None:
        """Give up what is held: what it would have brought comes with the next."""
        self.changed.set()
        if self.asking is not None:
            self.asking.cancel()


class PollLink(Link):
    """One task for each group of topics."""

    faults = (*Link.faults, *HTTP_FAULTS)

    def __init__(self, dial: Dial) -> None:
        super().__init__(dial)
        self._http = HttpClient(dial.address)
        self._token = dial.token
        self._groups: list[_Group] = []
        self._welcomed = False
        subscribe = dial.subscribe
        since = subscribe.get("since", {})
        if all(topic in since for topic in subscribe["topics"]):
            # A request that names all positions may be held for long; a knock is answered at once.
            self._start(partial(self._knock, partial(self._subscribe, subscribe)))
        else:
            self._subscribe(subscribe)

    def send(self, frame: Frame) -> None:
        """Take a frame as a session would."""
        kind = frame["type"]
        if kind == "subscribe":
            self._subscribe(frame)
        elif kind == "unsubscribe":
            for group in self._groups:
                group.topics.remove(frame["topics"])
        elif kind == "ping":
            # Somebody being there proves nothing of the requests that are held: they are made anew.
            self._start(partial(self._knock, self._ask_again))
        elif kind == "auth":
            self._token = frame["token"]
            more = {"id": frame["id"]} if "id" in frame else {}
            self._start(partial(self._knock, partial(self._tell, {**WELCOME, **more})))
        else:
            # Never within the call that asks.
            asyncio.get_running_loop().call_soon(self._tell, _NO_PUBLISHING.frame(frame.get("id")))

    def _subscribe(self, frame: Frame) -> None:
        rest, index = list(frame["topics"]), 0
        while rest:
            if index == len(self._groups):
                self._groups.append(_Group())
            group = self._groups[index]
            index += 1
            room = TOPICS_MAX - len(group.topics)
            if room <= 0:
                continue
            group.topics.add(rest[:room], frame.get("since", {}), frame.get("id"))
            del rest[:room]
            if group.following is None:
                group.following = self._start(partial(self._follow, group))
            else:
                group.ask_again()

    def _ask_again(self) -> None:
        for group in self._groups:
            group.ask_again()

    async def _follow(self, group: _Group) -> None:
        """One request after the other, while the group has topics."""
        try:
            empty = 0
            while len(group.topics) > 0 and not self._over:
                group.changed.clear()
                question = group.topics.question()
                begun = asyncio.get_running_loop().time()
                frames = await self._held(group, question)
                if frames is None:
                    continue
                self._welcome()
                self._tell(SIGN_OF_LIFE)
                for frame in group.topics.answer(question, frames):
                    self._tell(frame)
                    await self._dial.room()
                was_held = asyncio.get_running_loop().time() - begun >= EMPTY_PAUSE_SECONDS
                brought = any("type" not in frame for frame in frames)
                empty = 0 if brought or was_held else empty + 1
                # The first answer of new topics is empty as a rule; another that comes at once would be for ever.
                if empty > 1:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(EMPTY_PAUSE_SECONDS):
                            await group.changed.wait()
        finally:
            group.following = None

    async def _held(self, group: _Group, question: Question) -> list[Frame] | None:
        """The answer; None where other topics are to be asked for, or the link is over."""
        group.asking = asking = asyncio.create_task(self._ask(question.body))
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, whoever still waits
        try:
            await asyncio.wait([asking])
        finally:
            group.asking = None
            if not asking.done():
                asking.cancel()
                await asyncio.wait([asking])
        return None if asking.cancelled() else asking.result()

    async def _knock(self, then: Callable[[], None]) -> None:
        """Ask what is answered at once: somebody is there, and the credentials are good."""
        topic = next(filter(None, (group.topics.any() for group in self._groups)), None)
        topics = self._dial.subscribe["topics"][:1] if topic is None else [topic]
        if await self._ask({"topics": topics}) is not None:
            self._welcome()
            self._tell(SIGN_OF_LIFE)
            then()

    async def _ask(self, body: Mapping[str, Any]) -> list[Frame] | None:
        """One request; None where it was refused, which has then been told. Raises one of HTTP_FAULTS."""
        async with asyncio.timeout(ANSWER_SECONDS_MAX), self._http.post("poll", body, self._token) as response:
            if not 200 <= response.status < 300:
                refusal = await refusal_of(response)
                if response.status == 400 and refusal.code == "bad_frame" and not body["topics"]:
                    return []  # no topic to knock with; but the credentials, which come first, are good
                if refusal.retry_after_ms is not None:
                    self._tell(refusal.frame())
                self.cause = refusal.cause
                self._end(refusal.close_code)
                return None
            answer = parse_frame(await response.body(ANSWER_BYTES_MAX)) or {}
        frames = answer.get("frames")
        if not isinstance(frames, list):
            raise BadAnswer("the answer is no poll's")
        return [frame for frame in frames if isinstance(frame, dict)]

    def _welcome(self) -> None:
        if not self._welcomed:
            self._welcomed = True
            self._tell(WELCOME)

    async def _close(self, code: int) -> None:
        await self._http.close()
