"""Every snippet of the README and the docs is run, or checked where running is too dear.

What is done with which is said in ``snippets.Kind``. The two halves of the README stand in ``test_readme.py`` together.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from tests.docs.commands import check_command
from tests.docs.scripts import bundle, link_packages, type_faults, write_scripts
from tests.docs.shapes import same_json, same_text
from tests.docs.shell import Shell, post
from tests.docs.snippets import (
    PROGRAMS_RUN,
    ROOT,
    Kind,
    Snippet,
    all_snippets,
    commands_in_text,
    conversation,
    floors_of,
    pages,
    program,
)
from tests.schemas import schema
from tidings import Settings
from tidings.outbox import create_outbox

SNIPPETS = all_snippets()
RUN_SECONDS_MAX = 30

# What must be there (A10): a page that is moved or emptied must not make its tests vanish.
SNIPPETS_MIN = {
    "README.md": 5,
    "CONTRIBUTING.md": 2,
    "docs/architecture.md": 1,
    "docs/http.md": 20,
    "docs/presence.md": 12,
    "docs/python-client.md": 12,
    "docs/settings.md": 1,
    "examples/gift-list/README.md": 2,
    "spec/README.md": 0,
}
KINDS_MIN = {kind: 1 for kind in Kind if kind is not Kind.DATA}


def of_kind(*kinds: Kind) -> list[Any]:
    return [pytest.param(one, id=one.where) for one in SNIPPETS if one.kind in kinds]


def test_no_page_and_no_snippet_has_gone() -> None:
    for page, at_least in SNIPPETS_MIN.items():
        assert ROOT / page in pages(), f"{page} is not there"
        assert sum(one.page == page for one in SNIPPETS) >= at_least, page
    for kind, at_least in KINDS_MIN.items():
        assert sum(one.kind is kind for one in SNIPPETS) >= at_least, kind
    assert {one.mark for one in SNIPPETS if one.page == "README.md"} >= {
        "snippet: readme/app.py",
        "snippet: readme/gifts.tsx",
    }


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_of_a_page_is_a_snippet(page: Path) -> None:
    """Counted in another way than the snippets are read."""
    fences = re.findall(r"^[ >]*(?:```|~~~)", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0
    read = [one for one in SNIPPETS if one.page == str(page.relative_to(ROOT)) and one.language]
    assert len(read) == len(fences) // 2


@pytest.mark.parametrize("snippet", [pytest.param(one, id=one.where) for one in SNIPPETS])
def test_every_snippet_is_of_a_kind_that_is_checked(snippet: Snippet) -> None:
    assert snippet.kind is not None, (
        f"nothing checks a snippet of the language {snippet.language!r} that begins with "
        f"{snippet.text.splitlines()[:1]}; see Kind in tests/docs/snippets.py"
    )
    assert snippet.text.strip()


@pytest.mark.parametrize("snippet", of_kind(Kind.PYTHON))
def test_python(snippet: Snippet, tmp_path: Path) -> None:
    name = (snippet.name or "snippet.py").removesuffix(".py")
    (tmp_path / f"{name}.py").write_text(snippet.text)
    makes_an_application = re.search(r"^app = ", snippet.text, re.MULTILINE) is not None
    if makes_an_application:
        shell = Shell(tmp_path)
        try:
            shell.run(f"tidings run {name}:app")
            assert shell.run("curl -sS http://127.0.0.1:8000/readyz") == '{"status":"ready"}'
        finally:
            shell.close()
        return
    done = subprocess.run(
        [sys.executable, "-W", "error", f"{name}.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """The scripts' files, and what the compiler says of each."""
    folder = tmp_path_factory.mktemp("scripts")
    files = write_scripts([one for one in SNIPPETS if one.kind in (Kind.SCRIPT, Kind.NODE)], folder)
    return files, type_faults(files, folder)


@pytest.mark.parametrize("snippet", of_kind(Kind.SCRIPT, Kind.NODE))
def test_script(snippet: Snippet, scripts: tuple[dict[str, Path], dict[str, list[str]]], tmp_path: Path) -> None:
    files, faults = scripts
    assert faults[snippet.where] == []
    bundle(files[snippet.where], tmp_path / "bundle.js")
    assert (tmp_path / "bundle.js").stat().st_size > 0


def test_data() -> None:
    for snippet in SNIPPETS:
        if snippet.kind is Kind.DATA:
            check_data(json.loads(snippet.text))


def check_data(value: Any) -> None:
    """Frames, events and calls to a back end are held to the schema."""
    if isinstance(value, dict) and value.keys() & {"credentials", "identity", "allowed", "dropped"}:
        name = "call" if "type" in value else "known" if "identity" in value else "allowed"
        schema("webhooks", name).validate(value)
    elif isinstance(value, dict) and "type" in value:
        schema("frames", "clientFrame" if is_of_client(value["type"]) else "serverFrame").validate(value)
    elif isinstance(value, dict) and "event" in value:
        schema("event", "received" if "cursor" in value else "published").validate(value)


def is_of_client(kind: object) -> bool:
    return kind in ("subscribe", "unsubscribe", "ping", "auth", "publish", "presence")


@pytest.mark.parametrize("snippet", of_kind(Kind.SETTINGS))
def test_settings(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tidings.toml"
    file.write_text(snippet.text)
    monkeypatch.setenv("TIDINGS_CONFIG", str(file))
    settings, written = Settings(), tomllib.loads(snippet.text)
    limits = written.pop("limit", {})
    assert {name: getattr(settings.limits, name) for name in limits} == limits
    shown = {name: getattr(settings, name) for name in written}
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in shown.items()} == written


@pytest.mark.parametrize("snippet", of_kind(Kind.FLOORS))
def test_floors(snippet: Snippet) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    wanted = [{name.strip().removeprefix("tidings.") for name in layer.split("|")} for layer in layers]
    assert [set(row) for row in floors_of(snippet.text)] == wanted


# Commands.


@pytest.mark.parametrize("snippet", of_kind(Kind.COMMANDS))
def test_what_a_command_names_is_there(snippet: Snippet) -> None:
    commands = [command for command, _ in conversation(snippet.text)]
    assert commands
    for command in commands:
        if program(command) not in PROGRAMS_RUN - {"tidings"}:
            check_command(command)


@pytest.mark.parametrize(
    "command", sorted({command for page in pages() for command in commands_in_text(page.read_text("utf-8"))})
)
def test_a_command_in_a_sentence(command: str) -> None:
    check_command(command)


@pytest.mark.parametrize("snippet", of_kind(Kind.SQL))
def test_sql(snippet: Snippet, tmp_path: Path) -> None:
    with outbox_in(tmp_path / "app.sqlite3") as connection:
        assert connection.exec_driver_sql(snippet.text).rowcount == 1


@contextmanager
def outbox_in(file: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        create_outbox(connection)
        yield connection
    engine.dispose()


def park_an_event(file: Path) -> None:
    """What docs/outbox.md tells how to look after."""
    with outbox_in(file) as connection:
        connection.exec_driver_sql(
            "INSERT INTO tidings_outbox (id, topic, event, entity_id, payload, parked_at, error) VALUES"
            " (17, 'gift-list:123', 'UPDATED', 'gift-7', '{', 1795489445,"
            " 'bad_event: payload is not JSON: unexpected end.')"
        )


def page_shell(page: str, folder: Path) -> Iterator[Shell]:
    """Where a page's commands run; for the README, beside its own application."""
    if page == "docs/outbox.md":
        park_an_event(folder / "app.sqlite3")
    named = [one for one in SNIPPETS if one.page == page and one.kind is Kind.PYTHON and one.name]
    for one in named:
        (folder / str(one.name)).write_text(one.text)
    link_packages(folder)
    shell = Shell(folder, partial(post_a_gift, "robot"))
    try:
        if named:
            shell.run(f"tidings run {str(named[0].name).removesuffix('.py')}:app")
        yield shell
    finally:
        shell.close()


def post_a_gift(name: str, address: str) -> None:
    post(f"{address}/api/gifts/{name}")


def is_run(snippet: Snippet) -> bool:
    if snippet.kind is Kind.COMMANDS:
        return any(program(command) in PROGRAMS_RUN for command, _ in conversation(snippet.text))
    return snippet.kind in (Kind.NODE, Kind.PROGRAM)


@pytest.mark.parametrize("page", sorted({one.page for one in SNIPPETS if is_run(one)}))
def test_the_commands_of_a_page_print_what_it_shows(page: str, tmp_path: Path) -> None:
    compared = 0
    printed: str | None = None
    for shell in page_shell(page, tmp_path):
        for snippet in (one for one in SNIPPETS if one.page == page):
            if snippet.kind is Kind.ANSWER:
                assert printed is not None, f"{snippet.where} answers nothing"
                same = same_json if snippet.language == "json" else same_text
                assert same(snippet.text, printed), f"{snippet.where} shows {snippet.text}\nand this came: {printed}"
                compared += 1
            elif snippet.kind is Kind.NODE:
                printed = shell.run_node(snippet.text)
            elif snippet.kind is Kind.PROGRAM:
                printed = shell.run_python(snippet.text)
            elif is_run(snippet):
                printed = ""
                for command, shown in conversation(snippet.text):
                    came = shell.run(command)
                    printed += came if came.endswith("\n") else f"{came}\n"
                    if shown:
                        # How often it was nudged before the command was ready is chance.
                        is_nudged = command.startswith("tidings tail")
                        assert same_text(shown, came, any_offset=is_nudged), (
                            f"{snippet.where} shows {shown}\nand this came: {came}"
                        )
                        compared += 1
            else:
                printed = None
    assert compared, "no output was compared"
