"""One app over a database of its own; each test works in families of its own."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

# The example is an app, not a package to install: it is found by its folder.
sys.path.insert(0, str(Path(__file__).parent.parent))
# Before the first import of the app, which reads its settings then.
_folder = tempfile.TemporaryDirectory(prefix="gift-list-tests-")
os.environ["GIFT_LIST_DATABASE"] = str(Path(_folder.name) / "tests.sqlite3")
os.environ.pop("GIFT_LIST_DATABASE_URL", None)
if _url := os.environ.get("GIFT_LIST_TEST_DATABASE_URL"):  # such as postgresql+asyncpg://...
    os.environ["GIFT_LIST_DATABASE_URL"] = _url

from families import Home, Published, new_home  # noqa: E402 (after the settings above)
from sqlalchemy.ext.asyncio import AsyncSession  # noqa: E402

from gift_list.live import outbox  # noqa: E402
from gift_list.main import app  # noqa: E402


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running() -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def home(running: None) -> AsyncIterator[Home]:
    async with new_home() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def neighbours(running: None) -> AsyncIterator[Home]:
    """Another family."""
    async with new_home() as made:
        yield made


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Published]:
    """What the app publishes, in order; of a transaction that is rolled back too. It is published all the same."""
    seen: list[Published] = []
    add = outbox.add

    def record(db: AsyncSession, topic: str, event: str, **more: Any) -> None:
        seen.append(Published(topic, event, **more))
        add(db, topic, event, **more)

    monkeypatch.setattr(outbox, "add", record)
    return seen
