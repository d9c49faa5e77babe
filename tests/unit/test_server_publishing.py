"""``publish_many``, and the outbox's life beside the server's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from tidings import Exclude, PublishError, Settings, Tidings, outgoing
from tidings.core.cursor import Cursor
from tidings.core.topics import TopicKey
from tidings.ports import PublishNumbered

SECRET = "0123456789abcdef0123456789abcdef"
TOPIC = "gift-list:1"


async def test_many_are_published_in_their_order_and_with_what_each_says(tmp_path: Path) -> None:
    live = Tidings(settings=Settings(secret=SECRET, broker=f"sqlite:///{tmp_path}/events.db"))
    await live.start()
    try:
        cursors = await live.publish_many(
            outgoing(TOPIC, "ADDED", entity_id=n, tenant="t-1" if n % 2 else None, exclude=Exclude(user=f"u-{n}"))
            for n in range(200)
        )
        offsets = [Cursor.parse(cursor).offset for cursor in cursors]
        assert offsets[::2] == offsets[1::2] == list(range(1, 101)), "each tenant's topic counts for itself"
        broker = live.node._broker
        head = await broker.head(TopicKey("t-1", TOPIC))
        history = await broker.history(TopicKey("t-1", TOPIC), Cursor(head.epoch, 0), 0)
        users = [publication.exclude.user for publication in history.publications if publication.exclude]
        assert users == [f"u-{n}" for n in range(1, 200, 2)]
        commits = live.node._broker.statistics()["commits"]  # type: ignore[attr-defined]
        assert commits <= 10, f"{commits} commits for 200 events that were asked for at once"
    finally:
        await live.close()


async def test_one_bad_event_and_none_is_published() -> None:
    live = Tidings(secret=SECRET, topics=["gift-list"])
    before = await live.cursor(TOPIC)
    good = outgoing(TOPIC, "ADDED", entity_id=1)
    for bad in (
        outgoing(TOPIC, "ADDED", entity_id=2, payload="x" * 200_000),
        outgoing("gift-lsit:1", "ADDED", entity_id=2),
    ):
        with pytest.raises(PublishError):
            await live.publish_many([good, bad])
    assert await live.cursor(TOPIC) == before
    assert await live.publish_many([]) == []
    await live.close()


class Source:
    def __init__(self) -> None:
        self.said: list[str] = []

    async def start(self, publish: PublishNumbered) -> None:
        self.said.append("started")
        self.publish = publish

    async def close(self) -> None:
        self.said.append("closed")

    def statistics(self) -> dict[str, int]:
        return {}


async def test_the_outbox_starts_and_ends_with_the_server() -> None:
    source: Any = Source()
    live = Tidings(secret=SECRET, outbox=source)
    assert source.said == []
    await live.start()
    await live.start()
    assert source.said == ["started"]
    await live.close()
    await live.close()
    assert source.said == ["started", "closed"]


async def test_the_relay_works_within_the_applications_own_life() -> None:
    """It needs the database, which the application opens before and lets go of after."""
    source: Any = Source()

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        source.said.append("database opened")
        yield
        source.said.append("database closed")

    app = Starlette(lifespan=lifespan)
    Tidings(secret=SECRET, outbox=source).mount(app)
    for _ in range(2):
        async with app.router.lifespan_context(app):
            pass
    assert source.said == ["database opened", "started", "closed", "database closed"] * 2
