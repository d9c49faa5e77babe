"""The tests that the page on testing shows are run, by the runners that it names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.scripts import link_packages
from tests.docs.snippets import ROOT, Snippet, snippets_of

PAGE = "docs/testing.md"
SNIPPETS = {one.name: one for one in snippets_of(PAGE, (ROOT / PAGE).read_text("utf-8")) if one.name}
SECONDS_MAX = 60


def written(snippet: Snippet, folder: Path, *, broken: tuple[str, str] | None = None) -> Path:
    """The snippet as a file, whole or with one thing replaced."""
    text = snippet.text
    if broken is not None:
        assert broken[0] in text
        text = text.replace(*broken, 1)
    file = folder / str(snippet.name)
    file.write_text(text)
    return file


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )


def pytest_on(file: Path) -> subprocess.CompletedProcess[str]:
    scope = "asyncio_default_fixture_loop_scope=function"
    options = ["-q", "-o", "asyncio_mode=auto", "-o", scope, "-p", "no:cacheprovider", f"--rootdir={file.parent}"]
    return run([sys.executable, "-W", "error", "-m", "pytest", *options, str(file)], file.parent)


def vitest_on(file: Path) -> subprocess.CompletedProcess[str]:
    link_packages(file.parent)
    return run([str(ROOT / "node_modules" / ".bin" / "vitest"), "run", "--root", str(file.parent)], file.parent)


@pytest.mark.parametrize(("name", "count"), [("test_gifts.py", 4), ("test_time.py", 3)])
def test_the_back_ends_tests_pass(name: str, count: int, tmp_path: Path) -> None:
    done = pytest_on(written(SNIPPETS[name], tmp_path))
    assert f"{count} passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "broken",
    [
        ('"gift-list:1", "ADDED", entity_id=name', '"gift-list:2", "ADDED", entity_id=name'),
        ('who.user == "ana" or list_id != "secret"', "True"),
        ('since=start["gift-list:1"].cursor', "since=None"),
    ],
)
def test_the_back_ends_tests_notice_what_is_wrong(broken: tuple[str, str], tmp_path: Path) -> None:
    done = pytest_on(written(SNIPPETS["test_gifts.py"], tmp_path, broken=broken))
    assert done.returncode == 1, done.stdout
    assert " failed" in done.stdout


def test_the_pages_test_passes_and_notices_what_is_wrong(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    done = vitest_on(written(SNIPPETS["latest.test.tsx"], good))
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "not wrapped in act" not in done.stdout + done.stderr
    elsewhere = ("useTopic(`gift-list:${list}`", "useTopic(`gift-lists:${list}`")
    done = vitest_on(written(SNIPPETS["latest.test.tsx"], bad, broken=elsewhere))
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout
