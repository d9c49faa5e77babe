"""The suite itself: each of its checks refuses a snippet that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.docs.commands import BadCommand, check_command
from tests.docs.scripts import bundle, type_faults, write_scripts
from tests.docs.shapes import same_json, same_text
from tests.docs.shell import Shell
from tests.docs.snippets import Kind, Snippet, commands_in_text, conversation, snippets_of
from tests.docs.test_snippets import check_data
from tests.docs.test_snippets import test_every_snippet_is_of_a_kind_that_is_checked as check_kind

PAGE = """
# A page

<!-- snippet: readme/app.py -->
```python
app = 1
```

1. A list, with a snippet in it:

       $ tidings token \\
           --user ana
       eyJ...

<!-- answer -->

A sentence with `tidings serve` in between, so that the mark is lost.

~~~json
{"type": "ping"}
~~~

    make test
"""


def test_snippets_are_found_wherever_they_stand() -> None:
    found = snippets_of("page.md", PAGE)
    assert [(one.line, one.language, one.mark, one.kind) for one in found] == [
        (5, "python", "snippet: readme/app.py", Kind.PYTHON),
        (11, "", "", Kind.COMMANDS),
        (19, "json", "", Kind.DATA),
        (23, "", "", Kind.COMMANDS),
    ]
    assert found[0].name == "app.py"
    assert conversation(found[1].text) == [("tidings token \\\n    --user ana", "eyJ...\n")]
    assert list(commands_in_text(PAGE)) == ["tidings serve"]


@pytest.mark.parametrize(
    ("language", "text", "mark"),
    [
        ("ruby", "puts 1", ""),
        ("text", "some output", ""),
        ("jsonc", "{}", ""),
        ("", "a drawing", ""),
        ("", "rm -rf build", ""),
        ("python", "an answer?", "answer"),
    ],
)
def test_what_nothing_checks_is_refused(language: str, text: str, mark: str) -> None:
    snippet = Snippet("page.md", 1, language, text, mark)
    with pytest.raises(AssertionError, match="nothing checks a snippet"):
        check_kind(snippet)


@pytest.mark.parametrize(
    "command",
    [
        "make nowhere",
        "make test && make nowhere",
        "pip install tiding",
        "npm install tiding",
        "npm run nowhere -w tidings",
        "npm test -w nowhere",
        "npm test -w js -- nowhere",
        "npx tidings nowhere",
        "npx nowhere",
        "tidings nowhere",
        "tidings serve --nowhere",
        "tidings token --user",
        "tidings publish gift-list:1",
        "tidings run app:app --nowhere 1",
        "pytest tests/nowhere",
        "pytest tests/unit/test_codes_generated.py -k nowhere",
        "python -m nowhere",
        "python tools/nowhere.py",
        "pip-compile nowhere.in pyproject.toml",
        "cd nowhere && make test",
        "nowhere",
    ],
)
def test_a_command_that_would_not_do_it_is_refused(command: str) -> None:
    with pytest.raises(BadCommand):
        check_command(command)


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        ("k3f9-1", "a5hn7e6xi74546s5-1", True),
        ("k3f9-1", "a5hn7e6xi74546s5-2", False),
        ("k3f9-1", "a5hn7e6xi74546s5-12", False),
        ("15:04:12.345 gift-list:1 ADDED", "03:59:00.001 gift-list:1 ADDED", True),
        ("15:04:12  gift-list:1 ADDED", "03:59:00.001 gift-list:1 ADDED", False),
        ("eyJ...", "eyJhbGciOi.x.y", True),
        ("ready.", "ready!", False),
        ("one\ntwo", "one  \ntwo\n", True),
        ("one", "one\ntwo", False),
    ],
)
def test_output_is_compared(shown: str, came: str, same: bool) -> None:
    assert same_text(shown, came) is same


def test_json_is_compared_by_value() -> None:
    shown = '{"published": [{"cursor": "k3f9-1"}]}\n{"n": 1}'
    assert same_json(shown, '{"published":[{"cursor":"abc-1"}]}{"n":1}')
    for other in (
        '{"published":[{"cursor":"abc-2"}]}{"n":1}',
        '{"published":[]}{"n":1}',
        '{"published":[{"cursor":"abc-1"}]}',
        '{"published":[{"cursor":"abc-1"}]}{"n":true}',
        '{"published":[{"cursor":"abc-1","more":1}]}{"n":1}',
    ):
        assert not same_json(shown, other)
    with pytest.raises(json.JSONDecodeError):
        same_json(shown, "Not Found")


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "subscribe", "topics": "gift-list:1"},
        {"type": "shout"},
        {"type": "pong", "topic": "gift-list:1"},
        {"topic": "gifts", "event": "UPDATED", "data": {"entity_id": "g"}},
        {"topic": "gift-list:1", "event": "UPDATED", "data": {"entity_id": "g"}, "cursor": "k3f9-1"},
    ],
)
def test_a_frame_or_an_event_that_is_wrong_is_refused(frame: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check_data(frame)


def test_scripts_that_are_wrong_are_refused(tmp_path: Path) -> None:
    good = Snippet("page.md", 1, "ts", "import { connect } from 'tidings';\nconst live = connect();\n")
    goes_on = Snippet("page.md", 9, "ts", "live.close();\n")
    wrong = Snippet("page.md", 17, "tsx", "import { connect } from 'tidings';\nconnect({ urll: 1 });\n")
    unknown = Snippet("page.md", 25, "ts", "import { connected } from 'tidings';\nconnected();\n")
    plain = Snippet("page.md", 33, "js", "export const shown = (text) => text.length;\n")
    files = write_scripts([good, goes_on, wrong, unknown, plain], tmp_path)
    faults = type_faults(files, tmp_path)
    assert {where: bool(said) for where, said in faults.items()} == {
        good.where: False,
        goes_on.where: False,
        wrong.where: True,
        unknown.where: True,
        plain.where: False,
    }
    with pytest.raises(AssertionError, match="connected"):
        bundle(files[unknown.where], tmp_path / "bundle.js")


def test_a_command_that_fails_or_complains_is_refused(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    try:
        shell.run("export NAME=kept")
        assert shell.run("printf %s $NAME") == "kept"
        with pytest.raises(AssertionError, match="ended with 2: error: a secret is missing"):
            shell.run("tidings token --user ana")
        with pytest.raises(AssertionError, match="said: oh"):
            shell.run("printf oh >&2")
        with pytest.raises(AssertionError, match="it ended with 2"):
            shell.run("tidings serve")
    finally:
        shell.close()
