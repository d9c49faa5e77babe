"""Every setting of the server, in one frozen object.

A value comes from the first of: the argument (``Settings(port=9000)``, or a flag of the command line), the
environment (``TIDINGS_PORT``), ``tidings.toml`` in the working directory (or the file that ``TIDINGS_CONFIG``
names), the default. Limits are ``TIDINGS_LIMIT_<NAME>`` and the table ``[limit]``.
``docs/settings.md`` is made from this file and ``core/limits.py`` by ``tools/generate_settings.py``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tidings.core.errors import UsageError
from tidings.core.limits import Limits
from tidings.core.topics import is_wildcard

ENVIRONMENT_PREFIX = "TIDINGS_"
CONFIG_FILE = "tidings.toml"
_LIMIT_PREFIX = ENVIRONMENT_PREFIX + "LIMIT_"
_WEBHOOK_SECRET_BYTES_MIN = 32
_COOKIE_NAME_CHARACTERS = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"  # RFC 6265: a token
)
_PREFIX_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_-.")


WebhookCall = Literal["connect", "subscribe", "publish", "events"]


class ConfigurationError(UsageError):
    """A setting is wrong: one line that names it and says what it must be."""


class Settings(BaseSettings):
    """The server's settings. Raises ConfigurationError, one line, for the first that is wrong."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret: str | None = Field(
        default=None,
        repr=False,
        description="Signs and checks tokens; 32 bytes or more for HS256. Keep it out of files.",
    )
    public_key: str | None = Field(
        default=None,
        repr=False,
        description="Checks tokens that another service signs: PEM, or the path of a PEM file.",
    )
    algorithms: Sequence[str] = Field(
        default=("HS256",),
        description="Signature algorithms that are taken, all of one family; name one for a public key.",
    )
    audience: str | None = Field(default=None, description="What a token's `aud` must be or hold.")
    issuer: str | None = Field(default=None, description="What a token's `iss` must be.")
    api_keys: Sequence[str] = Field(
        default=(), repr=False, description="Keys for the HTTP surface; `KEY@TENANT` binds a key to one tenant."
    )
    broker: str = Field(
        default="memory",
        repr=False,
        description="Where events are stored: `memory`, or `sqlite:///path` (see sqlite.md).",
    )
    outbox: str | None = Field(
        default=None,
        repr=False,
        description="The database whose outbox is published, as SQLAlchemy names it (see outbox.md).",
    )
    topics: Sequence[str] | None = Field(
        default=None,
        description="The topic types there are, such as `gift-list,user`; a subscription to another is refused.",
    )
    cookie: str | None = Field(default=None, description="The name of the cookie that holds a token.")
    allowed_origins: Sequence[str] = Field(
        default=(), description="Origins of pages beside our own, such as `https://app.example.com`."
    )
    webhook_url: str | None = Field(
        default=None,
        repr=False,
        description="`tidings serve`: the address of your back end that says who may what (see webhooks.md).",
    )
    webhook_secret: str | None = Field(
        default=None, repr=False, description="Signs the calls to `webhook_url`; 32 bytes or more."
    )
    webhook_calls: Sequence[WebhookCall] = Field(
        default=("connect", "subscribe", "publish"),
        description="What your back end is asked: `connect`, `subscribe`, `publish`; `events` tells it of sessions.",
    )
    webhook_timeout_seconds: float = Field(
        default=2, gt=0, le=10, description="How long one call may take; then it is refused as `unavailable`."
    )
    webhook_concurrency: int = Field(
        default=32, ge=1, le=1_000, description="Calls under way at the same time, for each process."
    )
    webhook_failures: int = Field(
        default=5, ge=0, description="After so many failed calls in a row none is made for a moment; 0 never stops."
    )
    webhook_pause_seconds: float = Field(
        default=5, gt=0, le=300, description="How long that moment is, before one call is tried."
    )
    prefix: str = Field(default="/realtime", description="The path under which all routes stand.")
    host: str = Field(default="127.0.0.1", description="`tidings serve`: the address to listen on.")
    port: int = Field(default=8_000, ge=0, le=65_535, description="`tidings serve`: the port; 0 takes a free one.")
    websocket: Literal["fast", "asgi"] = Field(
        default="fast",
        description="`tidings serve` and `run`: how WebSockets are served: `fast`, straight on the event loop, or "
        "`asgi`, behind the application's middleware.",
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        le=3_600,
        description="`tidings serve` and `run`: the window over which clients are sent away on SIGTERM; "
        "0 closes at once.",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="One line of `key=value`, or one JSON object."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    limits: Limits = Field(default=Limits(), description="Every bound: see the table of limits.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, _Environment(settings_cls), _ConfigFile(settings_cls)

    @model_validator(mode="wrap")
    @classmethod
    def _one_line(cls, values: Any, handler: Any) -> Self:
        try:
            checked: Self = handler(values)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            raise ConfigurationError(_sentence(faults[0]) + more) from None
        return checked

    @field_validator("algorithms", "api_keys", "topics", "allowed_origins", "webhook_calls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """A list may be given as text with commas, as the environment needs it."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(value) if isinstance(value, list) else value

    @field_validator(
        "secret", "public_key", "audience", "issuer", "cookie", "outbox", "webhook_url", "webhook_secret", mode="before"
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("public_key")
    @classmethod
    def _read_key(cls, value: str | None) -> str | None:
        if value is None or value.lstrip().startswith("-----BEGIN"):
            return value
        try:
            return Path(value).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise ValueError(f"is no PEM, and no file that can be read ({type(error).__name__})") from None

    @field_validator("api_keys")
    @classmethod
    def _check_api_keys(cls, keys: Sequence[str]) -> Sequence[str]:
        for key in keys:
            name, at, tenant = key.partition("@")
            if not name or not name.isascii() or not name.isprintable() or (at and not tenant):
                raise ValueError("each must be KEY or KEY@TENANT, in printable ASCII before the @")
        return keys

    @field_validator("topics")
    @classmethod
    def _check_topics(cls, types: Sequence[str] | None) -> Sequence[str] | None:
        for kind in types or ():
            if not is_wildcard(f"{kind}:*"):
                raise ValueError(f"{kind[:80]!r} is not a topic type: lower case, digits and hyphens, at most 64")
        return types

    @field_validator("cookie")
    @classmethod
    def _check_cookie(cls, name: str | None) -> str | None:
        if name is not None and not set(name) <= _COOKIE_NAME_CHARACTERS:
            raise ValueError(f"{name[:80]!r} is not the name of a cookie")
        return name

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        good = prefix.startswith("/") and not prefix.endswith("/") and "//" not in prefix
        if not good or not set(prefix) <= _PREFIX_CHARACTERS:
            raise ValueError(f"{prefix[:80]!r} must be a path such as /realtime, without a slash at its end")
        return prefix

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.secret is not None and self.public_key is not None:
            raise ConfigurationError(
                "settings secret and public_key exclude each other: tokens are checked with one of them"
            )
        if self.webhook_url is not None and len((self.webhook_secret or "").encode()) < _WEBHOOK_SECRET_BYTES_MIN:
            raise ConfigurationError(
                f"{describe('webhook_secret')} must have {_WEBHOOK_SECRET_BYTES_MIN} bytes or more: your back end "
                "knows by it that a call is ours"
            )
        if self.public_key is not None and self.algorithms == ("HS256",):
            raise ConfigurationError(
                f"{describe('algorithms')}: name the public key's algorithm, such as RS256, ES256 or EdDSA"
            )
        return self


def describe(name: str) -> str:
    """A setting as messages name it, with its variable."""
    return f"setting {name} ({ENVIRONMENT_PREFIX}{name.upper()})"


class _Environment(PydanticBaseSettingsSource):
    """``TIDINGS_<NAME>`` and ``TIDINGS_LIMIT_<NAME>``; other variables are not ours to judge."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One setting's text, as the base class wants it."""
        return os.environ.get(ENVIRONMENT_PREFIX + field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        """What the environment sets. Raises ConfigurationError for a limit that there is not."""
        names = [name for name in self.settings_cls.model_fields if name != "limits"]
        found: dict[str, Any] = {
            name: os.environ[ENVIRONMENT_PREFIX + name.upper()]
            for name in names
            if ENVIRONMENT_PREFIX + name.upper() in os.environ
        }
        limits = {
            variable.removeprefix(_LIMIT_PREFIX).lower(): text
            for variable, text in os.environ.items()
            if variable.startswith(_LIMIT_PREFIX)
        }
        if limits:
            _check_limit_names(limits, lambda name: _LIMIT_PREFIX + name.upper())
            found["limits"] = limits
        return found


class _ConfigFile(PydanticBaseSettingsSource):
    """``tidings.toml``, where there is one; every key in it must be a setting."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One setting's value, as the base class wants it."""
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """What the file sets. Raises ConfigurationError for a file or a key that is wrong."""
        named = os.environ.get(ENVIRONMENT_PREFIX + "CONFIG")
        path = Path(named or CONFIG_FILE)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if named:
                raise ConfigurationError(f"TIDINGS_CONFIG names {path}, and there is no such file") from None
            return {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        limits = values.pop("limit", None)
        known = [name for name in self.settings_cls.model_fields if name != "limits"]
        for name in values:
            if name not in known:
                raise ConfigurationError(f"{path}: {name!r} is not a setting{_nearest(name, known)}")
        if limits is not None:
            if not isinstance(limits, dict):
                raise ConfigurationError(f"{path}: limit must be a table, such as [limit] and frame_bytes = 131072")
            _check_limit_names(limits, lambda name: f"{path}: limit.{name}")
            values["limits"] = limits
        return values


_LIMIT_NAMES = tuple(field.name for field in fields(Limits))


def _check_limit_names(limits: Mapping[str, object], shown: Any) -> None:
    for name in limits:
        if name not in _LIMIT_NAMES:
            raise ConfigurationError(f"{shown(name)} is not a limit{_nearest(name, _LIMIT_NAMES)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sentence(fault: ErrorDetails) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    location = [str(part) for part in fault["loc"]]
    if not location:
        return message
    if location[0] == "limits":
        if len(location) == 1:
            return message  # the limits' own sentence names them
        return f"limit {location[1]} ({_LIMIT_PREFIX}{location[1].upper()}): {message}"
    if fault["type"] == "extra_forbidden":
        return f"{location[0]!r} is not a setting{_nearest(location[0], Settings.model_fields)}"
    return f"{describe(location[0])}: {message}"
