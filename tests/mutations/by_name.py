"""The mistakes that a suite of this kind must see, M1 to M32: what is planted, and who has to notice."""

from __future__ import annotations

from dataclasses import dataclass

SIMULATION = "the simulation, within 500 seeds"


@dataclass(frozen=True)
class Edit:
    """A piece of a file under ``src/tidings`` that stands there once, and what takes its place."""

    file: str
    before: str
    after: str


@dataclass(frozen=True)
class Mistake:
    """What is wrong in words, how it is planted, and the tests that must fail; or why it cannot be planted.

    :ivar caught_by: SIMULATION, or pytest's names of tests; each must fail by itself.
    :ivar not_planted: why there is nothing to plant.
    """

    words: str
    edits: tuple[Edit, ...] = ()
    caught_by: tuple[str, ...] = (SIMULATION,)
    not_planted: str = ""


_HOLES = Edit(
    "core/subscription.py",
    "whole = self.held_after.epoch == sent.epoch and sent.offset >= self.held_after.offset",
    "whole = True",
)
_BROKERS = "tests/conformance/test_brokers.py"

MISTAKES = {
    "M1": Mistake(
        "history is read before the subscription is held",  # alone it does no harm: the merge sees the hole
        (
            Edit(
                "engine/feeds.py",
                "        reason = judge(effect.since, history, self._limits.recovery_events)\n",
                "        subscription.start_holding(feed.position)\n"
                "        reason = judge(effect.since, history, self._limits.recovery_events)\n",
            ),
            _HOLES,
        ),
    ),
    "M2": Mistake(
        "what comes during the recovery is not kept",
        (Edit("core/subscription.py", "            due += held\n", "            pass\n"),),
    ),
    "M3": Mistake(
        "the fan-out comes before the broker has stored",
        not_planted="SQLite delivers what it reads from the file; in memory there is no await between the two, so "
        "nobody could tell",
    ),
    "M4": Mistake(
        "'since' itself is sent again",
        (
            Edit(
                "brokers/memory.py", "max(0, cursor.offset + 1 - first_offset)", "max(0, cursor.offset - first_offset)"
            ),
            Edit(
                "core/subscription.py",
                "for publication in page if publication.cursor.offset > self.sent.offset",
                "for publication in page if publication.cursor.offset >= self.sent.offset",
            ),
        ),
        (f"{_BROKERS}::test_memory",),
    ),
    "M5": Mistake(
        "off by one where history was trimmed",
        (Edit("core/recovery.py", "expected = since.offset + 1", "expected = since.offset"),),
    ),
    "M6": Mistake(
        "the epoch is ignored when a client comes back",
        (Edit("core/recovery.py", "if head.epoch != since.epoch:", "if False:"),),
    ),
    "M7": Mistake(
        "a client's epoch and offset are two values, and one is updated",
        (
            Edit(
                "client/machine/delivery.py",
                "        topic.cursor = cursor  # before any handler runs\n",
                '        topic.cursor = f"{(topic.cursor or cursor).partition("-")[0]}-{cursor.partition("-")[2]}"\n',
            ),
            Edit(
                "client/machine/delivery.py",
                "def _start_anew(topic: Topic, cursor: str | None) -> None:\n    topic.cursor = cursor\n",
                "def _start_anew(topic: Topic, cursor: str | None) -> None:\n"
                "    topic.cursor = topic.cursor or cursor\n",
            ),
        ),
    ),
    "M8": Mistake(
        "a position above the head is taken for nothing missed",
        (Edit("core/recovery.py", "if since.offset > head.offset:", "if False:"),),
    ),
    "M9": Mistake(
        "the client's position moves after the handler",
        not_planted="the machine moves it in the step in which it hands the event out, before any code of the "
        "application runs; that a handler which raises costs nothing is F51",
    ),
    "M10": Mistake(
        "the position is the head before the missed events have been sent",
        (
            Edit(
                "engine/feeds.py",
                "        return Attached(subscription, effect.since, None, page)\n",
                "        return Attached(subscription, history.head, None, page)\n",
            ),
        ),
    ),
    "M11": Mistake(
        "what is too much for a slow reader is dropped, and the connection stays",
        (
            Edit(
                "transports/websocket_fast_link.py",
                '        self._connection.end(CloseCode.TOO_SLOW, "too slow")\n',
                "        self._backlog.drop()\n",
            ),
        ),
        ("tests/conformance/test_websocket_slow_readers.py",),
    ),
    "M12": Mistake(
        "a new epoch is measured by the old one's offsets",
        (Edit("client/machine/cursors.py", "    if a.epoch != b.epoch:\n        return None\n", ""),),
    ),
    "M13": Mistake(
        "idempotency keys without the tenant",
        (
            Edit(
                "brokers/memory.py",
                "            known = topic.known.get(idempotency_key)\n",
                "            known = self._topic(TopicKey(None, key.topic), now).known.get(idempotency_key)\n",
            ),
            Edit(
                "brokers/memory.py",
                "            topic.known[idempotency_key] = ",
                "            self._topic(TopicKey(None, key.topic), now).known[idempotency_key] = ",
            ),
        ),
        (f"{_BROKERS}::test_memory",),
    ),
    "M14": Mistake(
        "the fan-out goes by the topic without its tenant",
        (Edit("core/interest.py", "TopicKey(tenant, topic)", "TopicKey(None, topic)"),),
    ),
    "M15": Mistake(
        "a publish is repeated under a new key",
        (
            Edit(
                "client/machine/publishes.py",
                '    frame = {**item.frame, "id": number}\n',
                '    frame = {**item.frame, "id": number}\n'
                '    if "idempotency_key" in frame:\n'
                '        frame["idempotency_key"] = f"{number}-{m.random}"\n',
            ),
        ),
    ),
    "M16": Mistake(
        "the relay marks before it publishes",
        (
            Edit(
                "outbox/relay.py",
                "        answers = await asyncio.gather(",
                "        await self._ask(partial(ledger.mark, ids=[row.id for row in rows]))\n"
                "        answers = await asyncio.gather(",
            ),
        ),
        ("tests/unit/outbox/test_relay.py::test_a_broker_that_is_away_is_waited_for",),
    ),
    "M17": Mistake(
        "the relay orders by the time of the insert",
        (Edit("outbox/ledger.py", "ORDER BY o.topic, o.tenant, o.number", "ORDER BY o.id"),),
        ("tests/faults/test_outbox.py::test_f59_f60_f61_f62_every_commit_arrives_once_and_in_order[postgresql]",),
    ),
    "M18": Mistake(
        "two relays at work without a fence",  # which is what SKIP LOCKED would be
        (Edit("core/numbering.py", "    raise OutOfSequence(numbered, last)\n", "    return Place.NEXT\n"),),
        (
            f"{_BROKERS}::test_memory",
            "tests/unit/outbox/test_relay.py::test_f61_published_and_not_marked_is_published_once",
        ),
    ),
    "M19": Mistake(
        "the number is that of the insert, not of the commit",
        (
            Edit(
                "outbox/schema.py", "SET number = last_number - found_topic.count + place.place", "SET number = row.id"
            ),
        ),
        ("tests/unit/outbox/test_outbox.py::test_f63_a_savepoint_that_was_rolled_back_is_not_published[postgresql]",),
    ),
    "M20": Mistake(
        "a hole in the live messages is not looked for",
        (Edit("engine/feed.py", "if offset == self._position.offset + 1:", "if True:"),),
    ),
    "M21": Mistake(
        "after the broker was away, nobody looks at the positions",
        (
            Edit(
                "engine/feeds.py",
                '        """Live messages may be lost: look at every position."""\n'
                "        for feed in list(self._feeds.values()):\n            feed.repair()\n",
                '        """Live messages may be lost: look at every position."""\n',
            ),
        ),
    ),
    "M22": Mistake(
        "positions are never checked in silence",
        (Edit("engine/feeds.py", "            feed.repair_if_quiet()", "            pass"),),
    ),
    "M23": Mistake(
        "what an older connection says is heard",
        (Edit("client/machine/machine.py", "    if generation != m.generation:", "    if False:"),),
    ),
    "M24": Mistake(
        "events go on after unsubscribed",
        (Edit("core/hub.py", "            if subscription.state is not live:\n                continue\n", ""),),
        ("tests/unit/core/test_hub.py",),
    ),
    "M25": Mistake(
        "two transports both deliver",
        (
            Edit("client/machine/machine.py", "    if generation != m.generation:", "    if False:"),
            Edit(
                "client/machine/climb.py",
                '    m.effects.append({"effect": "drop", "generation": m.generation, "code": _NORMAL})\n',
                "",
            ),
        ),
        ("tests/unit/client/test_scenarios.py",),
    ),
    "M26": Mistake(
        "timeouts go by the wall clock",
        (
            Edit(
                "engine/connection.py",
                "            effects = self.session.handle(input, self._services.clock.monotonic())\n",
                "            effects = self.session.handle(input, self._services.clock.now().timestamp())\n",
            ),
        ),
    ),
    "M27": Mistake(
        "clients come back without chance in their pauses",
        (Edit("client/machine/connection.py", "    spread = m.random * min(", "    spread = min("),),
        ("tests/unit/client/test_scenarios.py",),
    ),
    "M28": Mistake(
        "wildcard and name both deliver",
        (
            Edit(
                "core/hub.py",
                "listeners.extend(s for s in wildcard.live if not s.session.holds(topic))",
                "listeners.extend(wildcard.live)",
            ),
        ),
        ("tests/unit/engine/test_subscriptions.py",),
    ),
    "M29": Mistake(
        "a reader that failed and works again tells nobody",
        (
            Edit(
                "brokers/sqlite_reader.py",
                "                    self.post(self._on_restored)\n",
                "                    pass\n",
            ),
        ),
        ("tests/unit/brokers/test_sqlite_faults.py",),
    ),
    "M30": Mistake(
        "missed events do not wait for the reader",
        (Edit("engine/connection.py", "                await self._sink.drained()\n", ""),),
        ("tests/faults/test_slow_readers.py",),
    ),
    "M31": Mistake(
        "an epoch is the time of the start in seconds",
        (
            Edit(
                "brokers/memory.py",
                "    return b32encode(token_bytes(10)).decode().lower()\n",
                '    return str(int(__import__("time").time()))\n',
            ),
        ),
        (f"{_BROKERS}::test_memory",),
    ),
    "M32": Mistake(
        "positions are compared as text",
        (
            Edit(
                "client/machine/cursors.py",
                "    return (a.offset > b.offset) - (a.offset < b.offset)\n",
                "    return (str(a.offset) > str(b.offset)) - (str(a.offset) < str(b.offset))\n",
            ),
        ),
        (SIMULATION, "tests/unit/core/test_vectors.py::test_cursors_compare"),
    ),
}
