"""Promise 3 under fire: committed means published once and in order, rolled back means never."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.outbox_storm import storm
from tests.unit.outbox.conftest import database, postgresql_address

__all__ = ["database", "postgresql_address"]


async def test_f59_f60_f61_f62_every_commit_arrives_once_and_in_order(database: str, tmp_path: Path) -> None:
    seen = await storm(database, tmp_path, seconds=5, writers=20, relay_kills=4, server_kills=1, seed=1)
    assert len(seen.committed) > 100 and len(seen.undone) > 10
    assert (seen.relays_killed, seen.servers_killed) == (4, 1)


@pytest.mark.nightly
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", [2, 3])
async def test_the_same_for_a_minute(database: str, tmp_path: Path, seed: int) -> None:
    seen = await storm(database, tmp_path, seconds=60, writers=20, relay_kills=40, server_kills=8, seed=seed)
    print(f"{len(seen.committed)} committed, {len(seen.undone)} undone, {seen.relays_killed} relays killed")
    assert len(seen.committed) > 2_000
