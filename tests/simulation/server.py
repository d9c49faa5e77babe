"""One process of the application's servers: the real ``Tidings`` in a real ASGI application, that can be killed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache

from starlette.applications import Starlette

from tests.simulation.broker import Cluster, NodeBroker, Planted, Troubles
from tests.simulation.front import Front
from tests.simulation.judge import Judge, Violation
from tests.simulation.plan import Plan
from tidings import Tidings
from tidings.core.codes import ErrorCode
from tidings.core.errors import PeerError
from tidings.core.identity import Identity
from tidings.core.limits import Limits
from tidings.ports import Action, Credentials
from tidings.settings import Settings
from tidings.testing.virtual import LoopClock

DRAIN_SECONDS = 5.0
SLACK_BYTES = 2_000  # one frame and one page may be on top of a bound: the bound is looked at after it


class NodeClock(LoopClock):
    """A machine's clocks: the wall clock is wrong, and jumps; the other only grows."""

    def __init__(self, skew_seconds: float) -> None:
        self.skew_seconds = skew_seconds

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.skew_seconds)


class Tokens:
    """``user@tenant!until`` is good until then, in the world's own time."""

    def __init__(self, clock: NodeClock) -> None:
        self._clock = clock

    async def authenticate(self, credentials: Credentials) -> Identity:
        token, _, until = credentials.token.partition("!")
        user, _, tenant = token.partition("@")
        expires_at = None
        if until:
            left = float(until) - self._clock.monotonic()
            if left <= 0:
                raise PeerError(ErrorCode.UNAUTHORIZED, "The token has expired.")
            expires_at = self._clock.now().timestamp() + left
        return Identity(user=user, tenant=tenant or None, expires_at=expires_at)


class Rules:
    """The application's rules, the same in all processes: all may have all, but what was withdrawn."""

    def __init__(self, judge: Judge, troubles: Troubles, dice: random.Random) -> None:
        self._judge, self._troubles, self._dice = judge, troubles, dice

    async def allows(self, identity: Identity, action: Action, topic: str) -> bool:
        for _ in range(self._dice.randrange(3)):
            await asyncio.sleep(0)
        if self._troubles.rules_raise and self._dice.random() < self._troubles.rules_raise:
            self._judge.count("a rule raised")
            raise Planted("the application's rule is broken")
        withdrawn = self._judge.withdrawn
        if topic.endswith(":*"):
            return not any(user == identity.user for user, _ in withdrawn)
        return (identity.user, (identity.tenant, topic)) not in withdrawn


class _Signals:
    """SIGTERM, from the world's hand."""

    def __init__(self) -> None:
        self.on_stop: Callable[[], None] | None = None

    def watch(self, on_stop: Callable[[], None]) -> None:
        self.on_stop = on_stop

    def release(self) -> None:
        self.on_stop = None


@lru_cache(maxsize=256)
def _settings(limits: Limits) -> Settings:
    return Settings(limits=limits, topics=("gift-list",))


class Server:
    """Starts, serves, and ends in one of three ways: killed, drained, or stopped under a plain ASGI server."""

    def __init__(
        self,
        cluster: Cluster,
        plan: Plan,
        troubles: Troubles,
        judge: Judge,
        dice: random.Random,
        failed: Callable[[BaseException], None],
    ) -> None:
        self.broker = NodeBroker(cluster)
        self.clock = NodeClock(dice.uniform(-600, 600) if plan.clock_jumps else 0.0)
        self._limits = plan.limits
        self.live = Tidings(
            authenticate=Tokens(self.clock),
            authorize=Rules(judge, troubles, dice),
            broker=self.broker,
            settings=_settings(plan.limits),
            clock=self.clock,
        )
        app = Starlette()
        self.live.mount(app)
        self._signals = _Signals()
        self.live._doors._signals = self._signals  # type: ignore[assignment]
        self.front = Front(app, failed)
        self.taking = False  # whether new connections reach it

    async def start(self) -> None:
        await self.live.start()
        self.taking = True

    def kill(self) -> None:
        """``kill -9``."""
        self.taking = False
        self.broker.kill()
        self.front.kill()
        node = self.live.node
        for task in list(node.feeds._tasks):
            task.cancel()
        node._ticker.close()
        node.feeds._closed = True

    async def drain(self) -> None:
        """SIGTERM to ``tidings serve``: nobody new, the others are sent away within a window, then the end."""
        self.taking = False
        await self.live.drain(DRAIN_SECONDS)
        await self._end()

    async def stop(self) -> None:
        """SIGTERM to a plain ASGI server: it closes its WebSockets, waits for responses, then the application ends."""
        self.taking = False
        if self._signals.on_stop is not None:
            self._signals.on_stop()
        await asyncio.sleep(1)
        await self._end()

    async def _end(self) -> None:
        await self.live.close()
        await asyncio.sleep(6)  # closing handshakes
        self.kill()

    def check_bounds(self) -> None:
        """Invariant 15, by counting what lies there and not what it says of itself."""
        limits = self._limits
        for connection in self.live.node._registry.all():
            sink = connection._sink  # type: ignore[attr-defined]
            waiting = [one[0] if isinstance(one, tuple) else one for one in getattr(sink, "_waiting", ())]
            size = sum(map(len, waiting)) + sum(map(len, getattr(sink, "frames", ())))
            burst = 16 if hasattr(sink, "finished") else 1
            if size > limits.backlog_bytes * burst + SLACK_BYTES:
                raise Violation(15, f"{size} bytes wait for {connection.id}, and {limits.backlog_bytes} is the limit")
            held = connection.session._interest._subscriptions  # type: ignore[attr-defined]
            if len(held) > limits.topics_per_connection:
                raise Violation(15, f"{connection.id} holds {len(held)} topics")
            for subscription in held.values():
                kept = sum(len(one.body) for one in subscription._held or ())
                if kept > limits.hold_bytes + SLACK_BYTES:
                    raise Violation(15, f"{subscription.key} keeps {kept} bytes for {connection.id}")

    def leftovers(self) -> list[str]:
        """What is still there when everybody has left."""
        found = {name: count for name, count in self.live.node.statistics().items() if count and name != "repairs"}
        doors = self.live._doors._sessions
        open_, streams = len(doors._open), len(doors._streams)
        if open_ or streams:
            found |= {"sessions over HTTP": open_, "streams": streams}
        if self.front.tasks:
            found["requests"] = len(self.front.tasks)
        return [f"{count} {name} are left" for name, count in found.items()]
