"""Commands that are too dear to run: whether what they name is there, and takes what it is given."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import typer
from uvicorn.main import main as uvicorn_command

from tests.docs.snippets import ROOT
from tidings.cli.main import app

_CHECK_SECONDS_MAX = 60


class BadCommand(AssertionError):
    """A command that would not do what the page says."""


def check_command(command: str) -> None:
    """Check each part of ``one && two # comment``, from the root of the repository on. Raises BadCommand."""
    folder = ROOT
    for words in _parts(command):
        name = Path(words[0]).name
        check = _CHECKS.get(name)
        if check is None:
            raise BadCommand(f"{command!r}: nothing here knows {name!r}")
        if name == "cd":
            folder = folder / words[1]
            _expect(folder.is_dir(), f"there is no folder {words[1]}")
        else:
            check(words[1:], folder)


def _parts(command: str) -> list[list[str]]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;"):
            parts.append([])
        elif word != "\n":
            parts[-1].append(word)
    return [part for part in parts if part]


def _expect(good: bool, why: str) -> None:
    if not good:
        raise BadCommand(why)


def _make(words: list[str], folder: Path) -> None:
    done = _run(["make", "-n", *words], folder)
    _expect(done.returncode == 0, f"make {' '.join(words)}: {done.stderr}")


def _pip(words: list[str], _folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = [project["name"], *(f"{project['name']}[{extra}]" for extra in project["optional-dependencies"])]
    _expect(
        words[:1] == ["install"] and words[1:] in [[one] for one in known], f"pip {' '.join(words)}: not of {known}"
    )


def _npm(words: list[str], _folder: Path) -> None:
    own, after = _split_at(words, "--")
    workspace = own.pop(own.index("-w") + 1) if "-w" in own else None
    own = [word for word in own if word != "-w"]
    package = _package(workspace)
    match own:
        case ["install" | "ci"]:
            return
        case ["install", *names]:
            wrong = [name for name in names if name != _package("js")["name"]]
            _expect(not wrong, f"npm install {wrong}: the package is called {_package('js')['name']}")
        case ["test"] | ["run", _]:
            script = own[-1]
            _expect(script in package.get("scripts", {}), f"{package['name']} has no script {script!r}")
            tests = [path.name for path in (ROOT / "js" / "test").rglob("*.test.ts*")]
            for wanted in after:
                _expect(any(wanted in name for name in tests), f"no test file of {tests} matches {wanted!r}")
        case _:
            raise BadCommand(f"npm {' '.join(words)}: nothing here knows it")


def _npx(words: list[str], folder: Path) -> None:
    package = _package("js")
    script = package["bin"].get(words[0])
    _expect(script is not None, f"the package has no command {words[0]!r}")
    usage = _run(["node", str(ROOT / "js" / script), "--help"], folder)
    _expect(all(word in usage.stdout + usage.stderr for word in words[1:2]), f"npx {' '.join(words)}: {usage.stdout}")


def _pytest(words: list[str], folder: Path) -> None:
    done = _run([sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words], folder)
    _expect(done.returncode == 0, f"pytest {' '.join(words)} finds nothing: {done.stdout[-500:]}{done.stderr[-500:]}")


def _python(words: list[str], folder: Path) -> None:
    if words[:1] == ["-m"]:
        module = words[1].replace(".", "/")
        places = [folder / module, *(parent / module for parent in (ROOT / "examples").iterdir())]
        runs = any((place / "__main__.py").is_file() or place.with_suffix(".py").is_file() for place in places)
        _expect(runs, f"python -m {words[1]}: no such module")
    else:
        _expect((folder / words[0]).is_file(), f"python {words[0]}: no such file")


def _pip_compile(words: list[str], folder: Path) -> None:
    files = [word for word in words if not word.startswith("-")]
    _expect(len(files) > 1, "pip-compile without files")
    for file in files:
        _expect((folder / file).is_file(), f"pip-compile {file}: no such file")


def _tidings(words: list[str], _folder: Path) -> None:
    group: Any = typer.main.get_command(app)
    command = group.commands.get(words[0])
    if len(words) > 1 and hasattr(command, "commands"):  # a group, such as `tidings outbox`
        group, words = command, words[1:]
        command = group.commands.get(words[0])
    if command is None:
        raise BadCommand(f"tidings {words[0]}: there are {sorted(group.commands)}")
    arguments = [word.strip("[]") for word in words[1:]]
    if not arguments:
        return  # the command's name, in a sentence
    try:
        context = command.make_context(words[0], list(arguments))
        if words[0] == "run":
            uvicorn_command.make_context("tidings run", list(arguments))
        else:
            _expect(not context.args, f"tidings {' '.join(words)}: {context.args} is too much")
    except Exception as error:
        # typer has classes of its own for what click raises, so they are known by what they can do.
        if isinstance(error, BadCommand) or not hasattr(error, "format_message"):
            raise
        raise BadCommand(f"tidings {' '.join(words)}: {error.format_message()}") from None


@cache
def _package(workspace: str | None) -> dict[str, Any]:
    """The ``package.json`` of a workspace, by its folder or its name. Raises BadCommand."""
    root: dict[str, Any] = json.loads((ROOT / "package.json").read_text("utf-8"))
    if workspace is None:
        return root
    for folder in root["workspaces"]:
        package: dict[str, Any] = json.loads((ROOT / folder / "package.json").read_text("utf-8"))
        if workspace in (folder, package["name"]):
            return package
    raise BadCommand(f"there is no workspace {workspace!r}")


def _split_at(words: list[str], mark: str) -> tuple[list[str], list[str]]:
    at = words.index(mark) if mark in words else len(words)
    return words[:at], words[at + 1 :]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_CHECK_SECONDS_MAX, check=False)


_CHECKS: dict[str, Callable[[list[str], Path], None]] = {
    "make": _make,
    "pip": _pip,
    "npm": _npm,
    "npx": _npx,
    "pytest": _pytest,
    "python": _python,
    "pip-compile": _pip_compile,
    "tidings": _tidings,
    "cd": lambda _words, _folder: None,
}
