"""The test pages as scripts: bundled from this tree by esbuild, against the built package."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.browser.processes import ROOT

HERE = Path(__file__).parent
PAGES = HERE / "pages"
SNIPPETS = HERE / "seed" / "snippets.md"
BUILD_SECONDS_MAX = 240


def build_if_older(sources: list[Path], built: Path, workspace: str) -> None:
    """Run the workspace's build unless what it makes is newer than all that it is made of."""
    files = [file for source in sources for file in ([source] if source.is_file() else source.rglob("*"))]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    if not built.is_file() or built.stat().st_mtime < newest:
        _run(["npm", "run", "--silent", "build", "-w", workspace])
        # A compiler may leave a file alone whose content is the same; now it is known to be up to date.
        built.touch()


def build_package() -> None:
    """``js/dist``, from ``js/src``."""
    js = ROOT / "js"
    build_if_older([js / "src", js / "package.json", js / "tsconfig.build.json"], js / "dist" / "index.js", "tidings")


def build_example() -> None:
    """The pages of the gift list, which hold the package."""
    build_package()
    web = ROOT / "examples" / "gift-list" / "web"
    sources = [web / "src", web / "index.html", web / "public", web / "vite.config.ts", ROOT / "js" / "dist"]
    build_if_older(sources, web / "dist" / "index.html", "gift-list-web")


def bundle_pages(folder: Path) -> None:
    """Every page of ``pages/`` as ``folder/<name>.js``; in templates, the snippets are put in first."""
    for template in PAGES.glob("*.template.*"):
        name = template.name.replace(".template", "")
        (folder / name).write_text(with_snippets(template.read_text()))
    entries = [*(file for file in PAGES.glob("*.ts*") if ".template." not in file.name), *folder.glob("*.ts*")]
    if not entries:
        raise AssertionError(f"no pages in {PAGES}")
    options = ["--bundle", "--format=iife", "--jsx=automatic", "--target=es2022", f"--outdir={folder}"]
    development = '--define:process.env.NODE_ENV="development"'
    # Each page by itself, so that files of two folders end up side by side.
    for entry in entries:
        _run([str(ROOT / "node_modules/.bin/esbuild"), str(entry), *options, development, "--log-level=warning"])


def with_snippets(template: str) -> str:
    """The template with each line ``//! <title>`` replaced by the snippet of that title, unchanged."""
    snippets = read_snippets()
    return re.sub(r"^//! (.+)$", lambda found: snippets[found[1]], template, flags=re.MULTILINE)


def read_snippets() -> dict[str, str]:
    """The code under each heading of ``seed/snippets.md``."""
    found = re.findall(r"^## ([^\n]+)\n\n```typescript\n(.*?)\n```$", SNIPPETS.read_text(), re.MULTILINE | re.DOTALL)
    return dict(found)


def _run(command: list[str]) -> None:
    # Pages that are made in a temporary folder find the packages here.
    env = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS_MAX, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command[:4])} failed:\n{done.stdout}{done.stderr}")
