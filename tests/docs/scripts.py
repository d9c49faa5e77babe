"""TypeScript and JavaScript of the pages: checked as strictly as our own, against the package as it is built."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.docs.snippets import ROOT, Snippet

_MODULES = ROOT / "node_modules"
_SECONDS_MAX = 120
_COMPILER_OPTIONS = {
    "target": "es2022",
    "lib": ["es2023", "dom", "dom.iterable"],
    "module": "esnext",
    "moduleResolution": "bundler",
    "moduleDetection": "force",
    "jsx": "react-jsx",
    "strict": True,
    "noUncheckedIndexedAccess": True,
    "skipLibCheck": True,
    "allowJs": True,
    "checkJs": True,
    "noEmit": True,
    "types": ["node"],
}


def write_scripts(snippets: Sequence[Snippet], folder: Path) -> dict[str, Path]:
    """A file for each snippet, by where it stands, in a folder that sees the workspace's packages.

    A snippet that imports nothing goes on from the one before it on its page.
    """
    link_packages(folder)
    files: dict[str, Path] = {}
    before: dict[str, str] = {}
    for snippet in snippets:
        is_continued = re.search(r"^import ", snippet.text, re.MULTILINE) is None and snippet.language != "js"
        text = f"{before.get(snippet.page, '')}\n{snippet.text}" if is_continued else snippet.text
        before[snippet.page] = text
        place = folder / re.sub(r"\W", "-", snippet.where)
        place.mkdir()
        file = place / (snippet.name or f"snippet.{'tsx' if snippet.language == 'ts' else snippet.language}")
        file.write_text(text)
        files[snippet.where] = file
    return files


def link_packages(folder: Path) -> None:
    """Let what stands in the folder import what the workspace has installed, Tidings too."""
    (folder / "node_modules").symlink_to(_MODULES)


def type_faults(files: Mapping[str, Path], folder: Path) -> dict[str, list[str]]:
    """The compiler's messages by snippet, none where it is right."""
    typed = {where: file for where, file in files.items() if file.suffix != ".js"}
    untyped = {where: file for where, file in files.items() if file.suffix == ".js"}
    # JavaScript has no types of its own to be missing.
    return _compile(typed, folder, {}) | _compile(untyped, folder, {"noImplicitAny": False})


def _compile(files: Mapping[str, Path], folder: Path, options: Mapping[str, bool]) -> dict[str, list[str]]:
    if not files:
        return {}
    names = [str(file) for file in files.values()]
    configuration = {"compilerOptions": {**_COMPILER_OPTIONS, **options}, "files": names}
    (folder / "tsconfig.json").write_text(json.dumps(configuration))
    done = subprocess.run(
        [str(_MODULES / ".bin" / "tsc"), "-p", str(folder), "--pretty", "false"],
        cwd=folder, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    found = {
        where: [line for line in lines if line.startswith(str(file.relative_to(folder)))]
        for where, file in files.items()
    }
    known = sum(len(faults) for faults in found.values())
    assert done.returncode == 0 or known > 0, f"tsc failed: {done.stdout}{done.stderr}"
    return found


def bundle(entry: Path, output: Path) -> None:
    """One script for a browser, or for Node where it is a back end's. Raises AssertionError with what esbuild says."""
    is_back_end = "tidings/server" in entry.read_text()
    done = subprocess.run(
        [
            str(_MODULES / ".bin" / "esbuild"), str(entry), "--bundle", "--format=esm", "--jsx=automatic",
            '--define:process.env.NODE_ENV="development"', "--target=es2022", f"--outfile={output}",
            "--log-level=warning", f"--platform={'node' if is_back_end else 'browser'}",
        ],
        cwd=entry.parent, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", f"{entry.name}: {done.stderr}"
