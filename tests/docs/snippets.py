"""The snippets of the pages: what stands in a fence or is indented as code, each of a kind that can be checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
_PAGES = ("*.md", "docs/**/*.md", "spec/*.md", "js/*.md", "examples/*/*.md")
_MARKDOWN = MarkdownIt("commonmark")
_MARK = re.compile(r"<!--\s*(answer|run: node|run: python|snippet: \S+)\s*-->")
_PROMPT = "$ "

# What a command begins with, and which of them are cheap enough to be run.
PROGRAMS_RUN = frozenset({"curl", "tidings", "export", "printf"})
PROGRAMS_CHECKED = frozenset({"make", "pip", "npm", "npx", "pip-compile", "pytest", "python", "cd"})


class Kind(Enum):
    """What is done with a snippet."""

    PYTHON = "executed, and served where it makes an application"
    SCRIPT = "type-checked against the built package, and bundled"
    NODE = "type-checked, and run by Node beside the page's commands"
    PROGRAM = "run by Python beside the page's commands"
    DATA = "parsed, and held to the schema where it is a frame or an event"
    COMMANDS = "run where that is cheap, else checked"
    ANSWER = "compared with what the snippet before it printed"
    SQL = "executed on an outbox"
    SETTINGS = "loaded as tidings.toml"
    FLOORS = "compared with the packages and the import contract"


@dataclass(frozen=True)
class Snippet:
    """One snippet; ``line`` counts from 1, ``language`` is empty where the code is indented."""

    page: str
    line: int
    language: str
    text: str
    mark: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def name(self) -> str | None:
        """The file that a mark ``snippet: folder/file`` names."""
        return self.mark.removeprefix("snippet: ").rpartition("/")[2] if self.mark.startswith("snippet: ") else None

    @property
    def kind(self) -> Kind | None:
        """None for a snippet that nothing here can check."""
        if self.language == "":
            return _kind_of_indented(self.text)
        if self.language == "js" and self.mark == "run: node":
            return Kind.NODE
        if self.language == "python" and self.mark == "run: python":
            return Kind.PROGRAM
        return (_ANSWERS if self.mark == "answer" else _KINDS).get(self.language)


_KINDS = {
    "python": Kind.PYTHON,
    "tsx": Kind.SCRIPT,
    "ts": Kind.SCRIPT,
    "js": Kind.SCRIPT,
    "json": Kind.DATA,
    "sh": Kind.COMMANDS,
    "console": Kind.COMMANDS,
    "toml": Kind.SETTINGS,
    "sql": Kind.SQL,
}
_ANSWERS = {"json": Kind.ANSWER, "text": Kind.ANSWER}


def pages() -> list[Path]:
    """Every page that people read, in order."""
    return sorted({path for pattern in _PAGES for path in ROOT.glob(pattern) if "node_modules" not in path.parts})


def snippets_of(page: str, text: str) -> list[Snippet]:
    """The snippets of a page. A comment right before a snippet marks it."""
    found: list[Snippet] = []
    mark = ""
    for token in _MARKDOWN.parse(text):
        if token.type == "html_block":
            match = _MARK.search(token.content)
            mark = match[1] if match else ""
        elif token.type in ("fence", "code_block"):
            assert token.map is not None
            found.append(Snippet(page, token.map[0] + 1, token.info.strip(), token.content, mark))
            mark = ""
        elif token.type not in ("paragraph_close", "list_item_close"):
            mark = ""
    return found


def all_snippets() -> list[Snippet]:
    """Those of every page."""
    return [one for page in pages() for one in snippets_of(str(page.relative_to(ROOT)), page.read_text("utf-8"))]


def commands_in_text(text: str) -> Iterator[str]:
    """The commands that a page's sentences name: ``make lint``, ``tidings serve``."""
    for token in _MARKDOWN.parse(text):
        for child in token.children or ():
            words = child.content.split()
            if child.type == "code_inline" and len(words) > 1 and words[0] in PROGRAMS_CHECKED | {"tidings", "npx"}:
                yield child.content


def conversation(text: str) -> list[tuple[str, str]]:
    """The commands of a snippet, each with the output that is shown below it.

    Where there are prompts, what has none is output. A command goes on over a backslash, an open quote, or a pipe.
    """
    prompted = any(line.startswith(_PROMPT) for line in text.splitlines())
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if found and _is_open(found[-1][0]):
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        elif line.startswith(_PROMPT) or (not prompted and line.strip()):
            found.append((line.removeprefix(_PROMPT), ""))
        elif prompted and found:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def program(command: str) -> str:
    """What a command runs, without its folder."""
    return command.split()[0].rpartition("/")[2] if command.split() else ""


def floors_of(text: str) -> list[list[str]]:
    """The names of modules with which each line begins; an empty list for a line that begins with none."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        names: list[str] = []
        for word in line.split():
            module = ROOT / "src" / "tidings" / word
            if not (module.suffix == ".py" and module.is_file()) and not (module / "__init__.py").is_file():
                break
            names.append(word.removesuffix(".py"))
        rows.append(names)
    return rows


def _is_open(command: str) -> bool:
    quotes = re.sub(r"\\.", "", command, flags=re.DOTALL)
    unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", quotes)
    return command.endswith(("\\", "|")) or "'" in unquoted or '"' in unquoted


def _kind_of_indented(text: str) -> Kind | None:
    if text.lstrip().startswith("# tidings.toml"):
        return Kind.SETTINGS
    if all(floors_of(text)):
        return Kind.FLOORS
    known = PROGRAMS_CHECKED | PROGRAMS_RUN
    return Kind.COMMANDS if all(program(command) in known for command, _ in conversation(text)) else None
