"""One connection for a page, and no more frames than what is shown asks for: with the obvious code, in StrictMode."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.bench import Bench
from tests.browser.waiting import until
from tests.browser.windows import Windows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

COMPONENTS = 500
TOPICS = 60
ALL_LIVE = f"document.querySelectorAll('[data-card][data-state=live]').length === {COMPONENTS}"
EVENTS_SHOWN = "[...document.querySelectorAll('[data-card]')].map(card => Number(card.dataset.count))"
# Renders so many times, one each animation frame.
RENDER_ON = """times => new Promise(done => {
  let frame = 0;
  const next = () => frame < times ? (render(++frame), requestAnimationFrame(next)) : done();
  next();
})"""


async def test_500_components_on_60_topics(windows: Windows, bench: Bench) -> None:
    page = await windows.open(bench.page("many", components=COMPONENTS, topics=TOPICS))
    await page.wait_for_function(ALL_LIVE)
    assert (await bench.statistics())["subscriptions_live"] == TOPICS

    await bench.publish(
        *({"topic": f"gift-list:{n}", "event": "UPDATED", "entity_id": n, "payload": None} for n in range(TOPICS))
    )
    await page.wait_for_function(f"{EVENTS_SHOWN}.every(count => count > 0)")
    assert await page.evaluate(EVENTS_SHOWN) == [1] * COMPONENTS

    ledger = await bench.ledger()
    assert ledger.accepted == 1
    assert [frame["type"] for frame in ledger.frames] == ["auth", "subscribe"]
    assert sorted(ledger.topics("subscribe")[0]) == sorted(f"gift-list:{n}" for n in range(TOPICS))


async def test_rendering_60_times_a_second_sends_nothing(windows: Windows, bench: Bench) -> None:
    page = await windows.open(bench.page("many", components=COMPONENTS, topics=TOPICS))
    await page.wait_for_function(ALL_LIVE)
    before = await bench.ledger()
    assert len(before.frames) == 2

    times = 120
    await page.evaluate(RENDER_ON, times)
    await expect(page.get_by_test_id("frame")).to_have_text(str(times))
    await bench.publish_one("gift-list:0")

    # The handler is that of the last render, not that of the first.
    card = page.locator("[data-card]").first
    await expect(card).to_have_attribute("data-frame-seen", str(times))
    assert (await bench.ledger()).frames == before.frames
    assert (await bench.ledger()).accepted == 1


async def test_closed_dialogs_cost_nothing(windows: Windows, bench: Bench) -> None:
    page = await windows.open(bench.page("cards", cards=200))
    await expect(page.get_by_test_id("card-199")).to_be_visible()
    await expect(page.get_by_test_id("choices")).to_have_text("0")
    ledger = await bench.ledger()
    assert ledger.accepted == 0, "a badge and closed dialogs need no connection"
    assert _gets(ledger.fetched) == {"GET /values/view:choices": 1}

    for number in (3, 5, 8):
        await page.get_by_test_id(f"card-{number}").click()
    await until(bench.statistics, lambda now: now["subscriptions_live"] == 6)
    await bench.publish_one("gift-list:card-5")
    await expect(page.get_by_test_id("dialog-5")).to_have_attribute("data-events", "1")
    value = await bench.change_value("view:card-5")
    await expect(page.get_by_test_id("dialog-5")).to_have_text(str(value))

    for number in (3, 5, 8):
        await page.get_by_test_id(f"card-{number}").click()
    await until(bench.statistics, lambda now: now["subscriptions_live"] == 0)

    # What is not live stays so: its events cause no traffic, and neither does a closed dialog's.
    await bench.change_value("view:choices")
    await bench.change_value("view:card-5")
    ledger = await bench.ledger()
    assert ledger.accepted == 1
    assert len(ledger.topics("subscribe")) <= 6
    gets = _gets(ledger.fetched)
    assert gets.pop("GET /values/view:choices") == 1
    assert gets.keys() == {f"GET /values/view:card-{number}" for number in (3, 5, 8)}
    assert gets["GET /values/view:card-5"] <= 3


@pytest.mark.parametrize("linger_ms", [None, 20], ids=["as it comes", "a short linger"])
async def test_100_navigations_back_and_forth(windows: Windows, bench: Bench, linger_ms: int | None) -> None:
    rows, shared, times = 40, 10, 100
    options: dict[str, Any] = {} if linger_ms is None else {"linger": linger_ms}
    page = await windows.open(bench.page("navigation", rows=rows, shared=shared, **options))
    await page.wait_for_function(f"document.querySelectorAll('[data-state=live]').length === {rows}")

    sent = await page.evaluate("times => navigate(times)", times)
    assert len(sent) == times
    assert max(sent) <= 2, f"frames sent, by navigation: {sent}"
    assert sum(sent) >= (1 if linger_ms is None else times), "the views had nothing to say: no test at all"

    # What is mounted, and nothing else, once the topics of the other view have lingered.
    await until(bench.statistics, lambda now: now["subscriptions_live"] == rows)
    assert await page.evaluate("document.querySelectorAll('[data-view=one] [data-state=live]').length") == rows
    ledger = await bench.ledger()
    assert ledger.accepted == 1
    assert len(ledger.topics("subscribe")) >= 2


async def test_closed_windows_leave_nothing(windows: Windows, bench: Bench) -> None:
    for user in ("ana", "ben", "ben"):
        page = await windows.open(bench.page("many", user=user, components=20, topics=5))
        await page.wait_for_function("document.querySelectorAll('[data-card][data-state=live]').length === 20")
    open_now = await bench.statistics()
    assert {"sockets": 3, "users": 2, "topics": 5, "subscriptions_live": 15}.items() <= open_now.items()

    await page.goto("about:blank")  # a page that goes away while its window stays
    await until(bench.statistics, lambda now: now["sockets"] == 2)
    await windows.close()
    await bench.is_empty()
    await until(bench.statistics, lambda now: now["feeds"] == 0)  # they linger for a moment too


def _gets(fetched: dict[str, int]) -> dict[str, int]:
    return {path: count for path, count in fetched.items() if path.startswith("GET /values/") and count}
