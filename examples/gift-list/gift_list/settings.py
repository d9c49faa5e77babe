"""What can be set from outside: environment variables named GIFT_LIST_..."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="GIFT_LIST_", frozen=True)

    host: str = "127.0.0.1"
    port: int = 8000
    # Two instances with different files (and ports) know nothing of each other.
    database: Path = Path("gift-list.sqlite3")
    # Wins over `database`; for PostgreSQL: postgresql+asyncpg://user:password@host/name
    database_url: str | None = None
    # The demo asks for no password, so this secret protects nothing here. It is fixed, so that a restart
    # of the server signs nobody out. An app with passwords has none in its code.
    secret: str = Field(default="the gift list demo has no passwords to protect", min_length=32)
    token_hours: float = Field(default=24, gt=0)
    # Where `npm run build` puts the pages.
    web: Path = Path(__file__).parent.parent / "web" / "dist"

    @property
    def url(self) -> str:
        """The database's URL as SQLAlchemy's asynchronous engine wants it."""
        if not self.database_url:
            return f"sqlite+aiosqlite:///{self.database}"
        scheme, _, rest = self.database_url.partition("://")
        return f"postgresql+asyncpg://{rest}" if scheme in ("postgres", "postgresql") else self.database_url


settings = Settings()
