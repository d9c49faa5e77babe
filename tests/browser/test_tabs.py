"""One connection for all tabs of a browser, and hand-over when the tab that has it goes (P24, F48, F49)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.bench import Bench, token_of
from tests.browser.figures import Figures
from tests.browser.tabs import Tabs, freeze, thaw
from tests.browser.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TABS = 5
HAND_OVER_SECONDS_MAX = 3
# So often the bench publishes while the connection is handed over.
EVERY_SECONDS = 0.05
# A leader that is not told that it freezes: the browser keeps the event to itself, and the page its lock.
DEAF = "document.addEventListener('freeze', (event) => event.stopImmediatePropagation(), true);"
# Chromium 156 drops a frozen page's sockets, and tells the page only when it lives again.
CHROMIUM_SAYS = (
    r"already in CLOSING or CLOSED state|WebSocket connection to .* failed|net::ERR_|\[tidings\] disconnected"
)


@pytest_asyncio.fixture(loop_scope="session")
async def windows(browser_with_tabs: Browser) -> AsyncIterator[Tabs]:
    """In the place of windows: tabs of one window."""
    opened = Tabs(browser_with_tabs)
    # At the end they are closed one by one, and each leads for a moment.
    opened.allow(r"WebSocket is closed before the connection is established", at_most=TABS)
    yield opened
    await opened.close()


class Counting:
    """Publishes 1, 2, 3 … on a topic, as long as it is entered."""

    def __init__(self, bench: Bench, topic: str) -> None:
        self._bench = bench
        self._topic = topic
        self.count = 0

    async def one(self) -> None:
        await self._bench.publish_one(self._topic, payload=self.count + 1)
        self.count += 1

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            await asyncio.shield(asyncio.ensure_future(self.one()))
            await asyncio.sleep(EVERY_SECONDS)


async def open_tabs(windows: Tabs, bench: Bench, topic: str, *, deaf: bool = False, count: int = TABS) -> list[Page]:
    """Tabs that are live, one after the other; the last one is in front."""
    pages: list[Page] = []
    for _ in range(count):
        page = await windows.blank()
        if deaf:
            await page.add_init_script(DEAF)
        await page.goto(bench.page("tabs", topic=topic))
        await live(page, topic)
        pages.append(page)
    return pages


async def live(page: Page, topic: str) -> None:
    await page.wait_for_function("topic => window.__tidings?.topicState(topic).state === 'live'", arg=topic, polling=50)


async def has_link(page: Page) -> bool:
    alive: int = await page.evaluate("wire.alive")
    return alive > 0


async def leader_of(pages: list[Page]) -> Page:
    (leader,) = [page for page in pages if await has_link(page)]
    return leader


async def hears(page: Page, number: int, *, within_seconds: float = 10) -> None:
    await page.wait_for_function(
        "number => heard.includes(number)", arg=number, polling=20, timeout=within_seconds * 1000
    )


async def heard_all(pages: list[Page], count: int) -> None:
    """Each tab has been given every number once and in order, and had to fetch nothing anew."""
    for page in pages:
        await hears(page, count)
        assert await page.evaluate("heard") == list(range(1, count + 1))
        assert await page.evaluate("gaps") == []


async def test_five_tabs_have_one_connection(windows: Tabs, bench: Bench) -> None:
    topic = "gift-list:five-tabs"
    pages = await open_tabs(windows, bench, topic)
    counting = Counting(bench, topic)
    for _ in range(20):
        await counting.one()
    await heard_all(pages, counting.count)
    ledger = await bench.ledger()
    assert ledger.accepted == 1
    # A tab that is shown makes the connection ask whether the server is there.
    assert [frame["type"] for frame in ledger.frames if frame["type"] != "ping"] == ["auth", "subscribe"]
    now = await until(bench.statistics, lambda now: now["connections"] == 1)
    assert now["subscriptions_live"] == 1
    for page in pages:
        assert await page.evaluate("__tidings.status.transport") == "websocket"


async def test_a_late_tab_is_given_what_came_since_its_data(windows: Tabs, bench: Bench) -> None:
    topic = "gift-list:late-tab"
    pages = await open_tabs(windows, bench, topic, count=2)
    counting = Counting(bench, topic)
    await counting.one()
    since = await bench.publish_one(topic, payload=2)
    await bench.publish_one(topic, payload=3)
    await hears(pages[0], 3)
    late = await windows.open(bench.page("tabs", topic=topic, since=since))
    await live(late, topic)
    await bench.publish_one(topic, payload=4)
    await hears(late, 4)
    assert await late.evaluate("heard") == [3, 4]
    assert (await bench.ledger()).accepted == 1


@pytest.mark.parametrize("how", ["closed", "left", "crashed"])
async def test_the_leader_goes(windows: Tabs, bench: Bench, figures: Figures, how: str) -> None:
    topic = f"gift-list:leader-{how}"
    pages = await open_tabs(windows, bench, topic)
    leader = await leader_of(pages)
    others = [page for page in pages if page is not leader]
    counting = Counting(bench, topic)
    async with counting.going_on():
        await hears(others[-1], 5)
        began, number = time.monotonic(), counting.count
        if how == "closed":
            await leader.close()
        elif how == "left":
            await leader.goto("about:blank")
        else:
            await crash(leader)
        await hears(others[-1], number + 2, within_seconds=HAND_OVER_SECONDS_MAX)
        figures.add(f"tabs: leader {how}, events go on", after_ms=(time.monotonic() - began) * 1000)
        await hears(others[-1], number + 20)
    await heard_all(others, counting.count)
    assert (await bench.ledger()).accepted == 2
    await until(bench.statistics, lambda now: now["connections"] == 1)


@pytest.mark.parametrize("deaf", [False, True], ids=["told", "with its lock"])
async def test_the_leader_freezes(windows: Tabs, bench: Bench, figures: Figures, *, deaf: bool) -> None:
    windows.allow(CHROMIUM_SAYS, at_most=4)
    topic, lock = f"gift-list:leader-frozen-{deaf}", "with" if deaf else "without"
    pages = await open_tabs(windows, bench, topic, deaf=deaf)
    leader = await leader_of(pages)
    others = [page for page in pages if page is not leader]
    counting = Counting(bench, topic)
    async with counting.going_on():
        await hears(others[-1], 5)
        await freeze(leader)
        began, number = time.monotonic(), counting.count
        await hears(others[-1], number + 2, within_seconds=HAND_OVER_SECONDS_MAX)
        figures.add(f"tabs: leader frozen {lock} its lock, events go on", after_ms=(time.monotonic() - began) * 1000)
        await hears(others[-1], number + 20)
        await thaw(leader)
        await hears(others[-1], counting.count + 10)
    await heard_all(pages, counting.count)
    assert (await bench.ledger()).accepted == 2
    assert not await has_link(leader), "it still has a connection of its own"
    await until(bench.statistics, lambda now: now["connections"] == 1)


async def test_a_tab_that_comes_back_by_the_back_button_is_whole(windows: Tabs, bench: Bench) -> None:
    windows.allow(r"status of 404", at_most=1)  # the icon of a page that is none
    topic = "gift-list:back-button"
    pages = await open_tabs(windows, bench, topic, count=3)
    leader = await leader_of(pages)
    counting = Counting(bench, topic)
    await leader.evaluate("addEventListener('pageshow', ({ persisted }) => { window.restored = persisted; })")
    await leader.goto(f"{bench.http}/statistics")
    for _ in range(3):
        await counting.one()
    await leader.go_back(wait_until="commit")
    # Its locks and its channel would have kept it out of the cache.
    await leader.wait_for_function("window.restored === true", polling=50)
    await counting.one()
    await heard_all(pages, counting.count)
    assert (await bench.ledger()).accepted == 2


async def test_another_user_in_one_tab_mixes_nothing(windows: Tabs, bench: Bench) -> None:
    topic = "gift-list:two-users"
    pages = await open_tabs(windows, bench, topic, count=3)
    changed = pages[-1]
    assert not await has_link(changed)
    await changed.evaluate("token => { window.token = token; __tidings.reauth(); }", token_of("ben"))
    await until(bench.statistics, lambda now: now["connections"] == 2 and now["users"] == 2)
    await until(lambda: has_link(changed), bool)
    counting = Counting(bench, topic)
    for _ in range(5):
        await counting.one()
    await heard_all(pages, counting.count)
    assert (await bench.ledger()).accepted == 2


@pytest.mark.parametrize("missing", ["BroadcastChannel", "navigator.locks"])
async def test_without_the_means_each_tab_has_its_own(windows: Tabs, bench: Bench, missing: str) -> None:
    topic = f"gift-list:no-{missing.lower().replace('.', '-')}"
    pages: list[Page] = []
    for _ in range(2):
        page = await windows.blank()
        await page.add_init_script(
            "delete window.BroadcastChannel"
            if missing == "BroadcastChannel"
            else "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined })"
        )
        await page.goto(bench.page("tabs", topic=topic))
        await live(page, topic)
        pages.append(page)
    counting = Counting(bench, topic)
    await counting.one()
    await heard_all(pages, 1)
    assert (await bench.ledger()).accepted == 2
    for page in pages:
        assert await has_link(page)


async def crash(page: Page) -> None:
    """Its process ends, and no script of it is asked."""
    session = await page.context.new_cdp_session(page)
    with contextlib.suppress(Exception, asyncio.TimeoutError):
        await asyncio.wait_for(session.send("Page.crash"), 1)


async def test_tabs_that_share_are_present_as_one(windows: Tabs, bench: Bench) -> None:
    topic = "gift-list:presence"
    users = "users => JSON.stringify(here.view.users.map(({ user }) => user).sort()) === JSON.stringify(users)"
    pages = [
        await windows.open(bench.page("tabs_presence", topic=topic, user=user, tab=number))
        for number, user in enumerate(["ana", "ana", "ben"])
    ]
    first, second, ben = pages
    for page in pages:
        await page.wait_for_function(users, arg=["ana", "ben"], polling=50)
    assert await ben.evaluate("here.view.members.length") == 2, "two tabs, and one member"
    assert (await bench.ledger()).accepted == 2

    await second.evaluate("here.update({ typing: true })")
    await ben.wait_for_function("here.view.members.some(({ state }) => state.typing)", polling=50)
    await first.close()  # the connection is the other tab's now
    await second.wait_for_function(users, arg=["ana", "ben"], polling=50)
    await ben.wait_for_function(users, arg=["ana", "ben"], polling=50)
    await second.close()
    await ben.wait_for_function(users, arg=["ben"], polling=50)
