"""What every broker must do, as checks that run against any of them.

A broker passes when each check of :data:`BROKER_CHECKS` does. Run them all with :func:`check_broker`, or
one by one, each as a test of its own::

    @pytest.mark.parametrize("check", BROKER_CHECKS, ids=lambda check: check.name)
    async def test_my_broker(check):
        await check.run(BrokerMaker(lambda limits: MyBroker(url, limits, prefix=uuid4().hex)))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tidings.core.limits import Limits
from tidings.ports import Broker
from tidings.testing import broker_number_rules as number_rules
from tidings.testing import broker_rules as rules
from tidings.testing.broker_rig import BrokerMaker


@dataclass(frozen=True)
class BrokerCheck:
    """One rule of the contract. ``run`` raises AssertionError where the broker breaks it."""

    name: str
    run: Callable[[BrokerMaker], Awaitable[None]] = field(repr=False)


async def check_broker(make: Callable[[Limits], Broker], advance: Callable[[float], None] | None = None) -> None:
    """Run every check. Raises ExceptionGroup that holds one error for each rule that is broken."""
    maker = BrokerMaker(make, advance)
    faults: list[Exception] = []
    for check in BROKER_CHECKS:
        try:
            await check.run(maker)
        except Exception as error:
            error.add_note(f"in the check {check.name!r}")
            faults.append(error)
    if faults:
        raise ExceptionGroup(f"{len(faults)} of {len(BROKER_CHECKS)} checks failed", faults)


BROKER_CHECKS: tuple[BrokerCheck, ...] = tuple(
    BrokerCheck(run.__name__, run)
    for run in (
        rules.events_are_stored_in_order_without_a_hole,
        rules.epoch_is_made_once,
        rules.concurrent_publishes_each_get_a_place,
        rules.live_messages_name_their_place,
        rules.an_event_is_stored_before_it_is_told,
        rules.history_starts_after_since_and_keeps_to_the_limit,
        rules.history_and_head_are_of_one_moment,
        rules.history_of_a_cursor_it_cannot_serve_is_told_by_facts,
        rules.size_trims_the_oldest,
        rules.age_drops_the_oldest,
        rules.a_repeat_stores_nothing_and_answers_the_first_cursor,
        rules.idempotency_keys_belong_to_one_topic_of_one_tenant,
        rules.trimming_spares_idempotency_keys,
        rules.idempotency_keys_end,
        number_rules.numbered_events_follow_one_another,
        number_rules.a_repeated_number_stores_nothing,
        number_rules.a_number_out_of_sequence_is_refused,
        number_rules.a_known_number_with_another_token_is_refused,
        number_rules.an_unknown_source_begins_with_its_first_number,
        number_rules.a_fresh_beginning_is_told,
        number_rules.numbers_belong_to_one_source_on_one_topic,
        number_rules.numbers_are_apart_from_offsets,
        number_rules.one_number_sent_twice_at_once_is_one_event,
        rules.only_joined_topics_are_told,
        rules.a_wildcard_hears_its_type_alone,
        rules.keys_never_meet,
        rules.exclude_is_kept_in_history,
        rules.the_head_of_an_empty_topic_stays,
        rules.a_forgotten_topic_gets_a_fresh_epoch,
        rules.a_closed_broker_is_silent,
    )
)
