"""How long a change takes from one person's click to another person's screen, measured inside the pages."""

from __future__ import annotations

from playwright.async_api import Page

# Both clocks count from the same moment: `timeOrigin` is in the machine's time.
_STAMP_INPUT = """
  for (const kind of ['click', 'submit'])
    addEventListener(kind, () => { window.actedAt = performance.timeOrigin + performance.now(); }, { capture: true });
"""
_WATCH = """([predicate, argument]) => {
  const holds = new Function('argument', `return ${predicate}`);
  window.appeared = new Promise((resolve, reject) => {
    if (holds(argument)) return reject(new Error('it was so before anybody did anything'));
    const observer = new MutationObserver(() => {
      if (!holds(argument)) return;
      observer.disconnect();
      resolve(performance.timeOrigin + performance.now());
    });
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  });
}"""
SHOWN_SECONDS_MAX = 5


async def stamp_actions(page: Page) -> None:
    """From now on the page knows when it was last clicked, before any of its own handlers has run."""
    await page.evaluate(_STAMP_INPUT)


async def watch(page: Page, predicate: str, argument: str) -> None:
    """Begin to look for the moment at which the predicate, JavaScript about ``argument``, holds in the page."""
    await page.evaluate(_WATCH, [predicate, argument])


async def elapsed_ms(acting: Page, watching: Page) -> float:
    """From the last click in one page to the moment that the other has been watched for."""
    await watching.evaluate(
        "ms => Promise.race([appeared, new Promise((_, no) => setTimeout(no, ms, new Error('never shown')))])",
        SHOWN_SECONDS_MAX * 1000,
    )
    shown_at: float = await watching.evaluate("appeared")
    acted_at: float = await acting.evaluate("window.actedAt")
    return shown_at - acted_at
