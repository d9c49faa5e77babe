"""The user's back end, as the settings name it: who asks it what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from tidings.auth.webhook import WebhookAuthenticator, WebhookAuthorizer
from tidings.auth.webhook_call import BackEnd, CallOptions, check_url
from tidings.engine.clock import SystemClock
from tidings.observe.events import SessionEvents
from tidings.ports import Action
from tidings.settings import ConfigurationError, Settings, describe

_ACTIONS: tuple[Action, ...] = ("subscribe", "publish")


class Webhooks:
    """What is asked of a back end. Without ``webhook_url`` that is nothing. Raises ConfigurationError."""

    def __init__(self, settings: Settings) -> None:
        self._clock = SystemClock()
        self._back_ends: list[BackEnd] = []
        self._events: SessionEvents | None = None
        self.arguments: dict[str, Any] = {}  # for Tidings()
        if settings.webhook_url is None:
            return
        try:
            check_url(settings.webhook_url)
        except ValueError as error:
            raise ConfigurationError(f"{describe('webhook_url')} {error}") from None
        calls = settings.webhook_calls
        actions = [action for action in _ACTIONS if action in calls]
        rights = self._back_end(settings, settings.webhook_concurrency)
        if "connect" in calls:
            self.arguments["authenticate"] = WebhookAuthenticator(rights, self._clock)
        if actions:
            self.arguments["authorize"] = WebhookAuthorizer(rights, self._clock, actions)
        if "events" in calls:
            # Apart from the others: slow news must not close the door, and one call at a time keeps its order.
            self._events = SessionEvents(self._back_end(settings, 1), self._clock)
            self.arguments["lifecycle"] = self._events

    @property
    def knows_users(self) -> bool:
        """Whether the back end says who somebody is, so that no secret for tokens is needed."""
        return "authenticate" in self.arguments

    def close_with(self, app: Starlette) -> None:
        """Let go of everything when the application has ended, Tidings that is mounted on it included."""
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(scope_app: Any) -> AsyncIterator[Any]:
            try:
                async with inner(scope_app) as state:
                    yield state
            finally:
                if self._events is not None:
                    await self._events.close()
                for back_end in self._back_ends:
                    await back_end.close()

        app.router.lifespan_context = lifespan

    def _back_end(self, settings: Settings, concurrency: int) -> BackEnd:
        options = CallOptions(
            url=settings.webhook_url or "",
            secret=settings.webhook_secret or "",
            timeout_seconds=settings.webhook_timeout_seconds,
            concurrency=concurrency,
            failures_max=settings.webhook_failures,
            pause_seconds=settings.webhook_pause_seconds,
        )
        back_end = BackEnd(options, self._clock)
        self._back_ends.append(back_end)
        return back_end
