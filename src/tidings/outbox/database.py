"""A database named by a URL, for commands and for the standalone server."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tidings.outbox.schema import check_dialect
from tidings.settings import ConfigurationError

_BUSY_SECONDS = 15  # for which a relay waits while the application writes to the same SQLite file


def engine_from_url(url: str) -> Engine | AsyncEngine:
    """Of SQLAlchemy's form, such as ``postgresql+asyncpg://user@host/name`` or ``sqlite:///app.db``.

    Connects to nothing yet. Raises ConfigurationError, one line and without the password, for what cannot work.
    """
    try:
        parsed = make_url(url)
        check_dialect(parsed.get_backend_name())
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            raise ConfigurationError(f"setting outbox (TIDINGS_OUTBOX): there is no file {parsed.database}")
        options = {"timeout": _BUSY_SECONDS} if parsed.get_backend_name() == "sqlite" else {}
        if parsed.get_dialect().is_async:
            return create_async_engine(parsed, connect_args=options, pool_pre_ping=True)
        return create_engine(parsed, connect_args=options, pool_pre_ping=True)
    except ArgumentError:
        raise ConfigurationError(
            "setting outbox (TIDINGS_OUTBOX) must be a URL such as postgresql+asyncpg://user@host/name or sqlite:///app.db"
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise ConfigurationError(
            f"setting outbox (TIDINGS_OUTBOX): the database's driver is not installed ({error}); pip install it, "
            "or name another in the URL, as in postgresql+psycopg://"
        ) from None
