"""What a page has been told: every event once and in order, and what carried it."""

from __future__ import annotations

from playwright.async_api import Page

_RECORD = """topic => {
  window.heard = [];
  window.gaps = [];
  __tidings.subscribe(topic, (event) => heard.push(event.data.payload.name), { onGap: (gap) => gaps.push(gap) });
}"""


async def record(page: Page, topic: str) -> None:
    """From now on ``told`` knows each event of the topic; the page has to be live on it."""
    await page.wait_for_function("topic => window.__tidings?.topicState(topic).state === 'live'", arg=topic)
    await page.evaluate(_RECORD, topic)


async def told(page: Page) -> list[str]:
    """The names of the gifts in the events that came, in their order. Raises AssertionError where one was lost."""
    gaps = await page.evaluate("gaps")
    assert gaps == [], f"the page had to fetch anew: {gaps}"
    names: list[str] = await page.evaluate("heard")
    return names


async def carried_by(page: Page, transport: str, *, within_seconds: float = 10) -> None:
    """Wait until the page is live on that transport."""
    await page.wait_for_function(
        "transport => window.__tidings?.status.transport === transport", arg=transport, timeout=within_seconds * 1000
    )
