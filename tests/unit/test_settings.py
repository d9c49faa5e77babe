"""Where settings come from, which source wins, and what a wrong one is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tidings.core.limits import Limits
from tidings.settings import ConfigurationError, Settings


@pytest.fixture(autouse=True)
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("TIDINGS_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults() -> None:
    settings = Settings()
    assert (settings.host, settings.port, settings.prefix, settings.broker) == (
        "127.0.0.1", 8_000, "/realtime", "memory",
    )  # fmt: skip
    assert settings.limits == Limits()
    assert settings.topics is None and settings.secret is None and settings.api_keys == ()


def test_the_first_source_wins(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / "tidings.toml").write_text(
        'port = 1\nhost = "file"\nissuer = "file"\n[limit]\nhistory_events = 1\npage_events = 1\n'
    )
    monkeypatch.setenv("TIDINGS_PORT", "2")
    monkeypatch.setenv("TIDINGS_HOST", "environment")
    monkeypatch.setenv("TIDINGS_LIMIT_HISTORY_EVENTS", "2")
    settings = Settings(port=3)
    assert (settings.port, settings.host, settings.issuer) == (3, "environment", "file")
    assert (settings.limits.history_events, settings.limits.page_events) == (2, 1)
    assert settings.limits.frame_bytes == Limits().frame_bytes


def test_limits_as_an_argument_win_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_LIMIT_HISTORY_EVENTS", "2")
    assert Settings(limits=Limits(page_events=5)).limits == Limits(page_events=5)


def test_lists_in_the_environment_have_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_API_KEYS", "one, two@t-1")
    monkeypatch.setenv("TIDINGS_TOPICS", "gift-list,user")
    monkeypatch.setenv("TIDINGS_ALLOWED_ORIGINS", "https://a.example")
    settings = Settings()
    assert settings.api_keys == ("one", "two@t-1")
    assert settings.topics == ("gift-list", "user")
    assert settings.allowed_origins == ("https://a.example",)


def test_another_file(empty_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_place / "other.toml").write_text("port = 7\ntopics = ['gift-list']\n")
    monkeypatch.setenv("TIDINGS_CONFIG", "other.toml")
    settings = Settings()
    assert (settings.port, settings.topics) == (7, ("gift-list",))


def test_lists_do_not_change() -> None:
    assert Settings(api_keys=["one"]).api_keys == ("one",)


def test_a_public_key_from_a_file(empty_place: Path) -> None:
    (empty_place / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    assert Settings(public_key="key.pem", algorithms=["RS256"]).public_key == "-----BEGIN PUBLIC KEY-----\n"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(secret="s3cret" * 6, api_keys=["k3y"], broker="memory"))
    assert "s3cret" not in shown and "k3y" not in shown


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"port": "eighty"}, "setting port (TIDINGS_PORT): Input should be a valid integer"),
    ({"port": 70_000}, "setting port (TIDINGS_PORT): Input should be less than or equal to 65535"),
    ({"prefix": "realtime"}, "setting prefix (TIDINGS_PREFIX): 'realtime' must be a path such as /realtime"),
    ({"prefix": "/realtime/"}, "without a slash at its end"),
    ({"prefix": "/{x}"}, "must be a path"),
    ({"prefix": "/"}, "must be a path"),
    ({"cookie": "a b"}, "setting cookie (TIDINGS_COOKIE): 'a b' is not the name of a cookie"),
    ({"topics": ["Gift"]}, "setting topics (TIDINGS_TOPICS): 'Gift' is not a topic type"),
    ({"topics": ["gift:list"]}, "is not a topic type"),
    ({"api_keys": ["@t-1"]}, "KEY or KEY@TENANT"),
    ({"api_keys": ["k@"]}, "KEY or KEY@TENANT"),
    ({"api_keys": ["schlüssel"]}, "KEY or KEY@TENANT"),
    ({"log_format": "xml"}, "setting log_format (TIDINGS_LOG_FORMAT)"),
    ({"prot": 1}, "'prot' is not a setting; did you mean port?"),
    ({"limits": {"page_events": "many"}}, "limit page_events (TIDINGS_LIMIT_PAGE_EVENTS): Input should be"),
    ({"limits": {"page_events": -1}}, "limit page_events must be a whole number, 0 or more"),
    ({"limits": {"silence_seconds": 30}}, "limit silence_seconds must be at least twice heartbeat_seconds"),
    ({"secret": "s" * 32, "public_key": "-----BEGIN x"}, "secret and public_key exclude each other"),
    ({"public_key": "-----BEGIN x"}, "setting algorithms (TIDINGS_ALGORITHMS): name the public key's algorithm"),
    ({"public_key": "nowhere.pem", "algorithms": ["RS256"]}, "no file that can be read (FileNotFoundError)"),
    ({"port": "x", "prefix": "y"}, "(and 1 more)"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_wrong_setting_is_one_line_that_names_it(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings(**values)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Settings(secret=["hush-hush"])  # type: ignore[arg-type]
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TIDINGS_LIMIT_FRAME_BYTE", "TIDINGS_LIMIT_FRAME_BYTE is not a limit; did you mean frame_bytes?"),
        ("TIDINGS_LIMIT_ZZZ", "TIDINGS_LIMIT_ZZZ is not a limit"),
    ],
)
def test_an_unknown_limit_in_the_environment(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError) as refused:
        Settings()
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = ", "tidings.toml cannot be read: "),
        ("prot = 1", "tidings.toml: 'prot' is not a setting; did you mean port?"),
        ("limits = 1", "tidings.toml: 'limits' is not a setting"),
        ("limit = 1", "limit must be a table"),
        ("[limit]\nframebytes = 1", "tidings.toml: limit.framebytes is not a limit; did you mean frame_bytes?"),
        ("[limit]\nframe_bytes = 'x'", "limit frame_bytes (TIDINGS_LIMIT_FRAME_BYTES): Input should be"),
    ],
)
def test_a_wrong_file(empty_place: Path, text: str, said: str) -> None:
    (empty_place / "tidings.toml").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        Settings()
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDINGS_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        Settings()
