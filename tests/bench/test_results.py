"""What the benchmark makes of its figures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import goals, page, plot, quiet, tables
from bench.results import Results

SIZE = {"rounds": 3, "crowd_rounds": 1, "seconds": 1.0, "subscribers": 1_000, "crowd": 2_000, "crowd_topics": 100}
MACHINE = {"processor": "P", "cores": 2, "memory_gib": 8.0, "kernel": "6", "pinned": True}


@pytest.fixture
def results() -> Results:
    one = Results({"machine": MACHINE, "size": SIZE, "versions": {"python": "3.11"}})
    one.titles = {"tidings": "Tidings", "seed": "A <manager>"}
    one.skipped = {"centrifuge": "go is not installed"}
    one.failed = ["crowd, seed: nothing was delivered"]
    # The machine became slower by half in the second round: the ratio does not care.
    for tidings, seed in ((100_000.0, 20_000.0), (50_000.0, 10_000.0), (90_000.0, 18_000.0)):
        one.add("tidings", {"fanout_w1": tidings})
        one.add("seed", {"fanout_w1": seed})
    return one


def test_medians_and_ratios_of_the_same_round(results: Results) -> None:
    assert results.median("tidings", "fanout_w1") == 90_000
    assert results.ratio("seed", "tidings", "fanout_w1") == pytest.approx(0.2)
    assert results.spread("tidings", "fanout_w1") == pytest.approx(25 / 90)
    assert results.median("tidings", "other") is None and results.ratio("seed", "tidings", "other") is None


def test_the_table_names_what_is_missing_and_what_failed(results: Results) -> None:
    text = tables.markdown(results)
    assert "| A <manager> | 18,000 (0.20) |" in text and "| Tidings | 90,000 |" in text
    assert "Not run: centrifuge (go is not installed)." in text and "- crowd, seed: nothing was delivered" in text
    assert "### Recovery" not in text


def test_a_busy_machine_is_said(results: Results) -> None:
    assert "Other work took 0% of a core" in tables.markdown(results)
    results.add("seed", {"foreign_share_fan-out": 0.4})
    assert "The machine was not calm: other work took 40% of a core." in tables.markdown(results)


def test_goals_are_met_missed_or_not_measured(results: Results) -> None:
    assert goals.markdown(results) == ""
    results.add("uws", {"fanout_w1": 125_000.0})
    results.add("tidings", {"memory_own_bytes": 6_001.0})
    text = tables.markdown(results)
    assert "| the same to uWebSockets | 0.8 | at least 0.75 | met |" in text
    assert "| memory of an idle connection in the process, bytes | 6,001 | at most 6,000 | missed |" in text
    assert "Centrifuge" not in text.partition("### Goals")[2].partition("Not run")[0]


def test_what_was_saved_is_read_back(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "results.json")
    assert tables.markdown(Results.load(tmp_path / "results.json")) == tables.markdown(results)


def test_the_picture_is_whole_and_the_fastest_stands_first(results: Results) -> None:
    tree = ElementTree.fromstring(plot.svg(results))
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1:5] == ["Tidings", "90,000", "A <manager>", "18,000"]


def test_the_page_keeps_its_words(results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAGE", "PICTURE", "KEPT"):
        monkeypatch.setattr(page, name, tmp_path / name)
    page.PAGE.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(results)
    text = page.PAGE.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text and "90,000" in text
    assert "](images/PICTURE)" in text and (tmp_path / "PICTURE").read_text().startswith("<svg")
    page.PAGE.write_text("no marks")
    with pytest.raises(ValueError, match="has lost its marks"):
        page.write(results)


def test_other_work_is_told_from_our_own() -> None:
    """A process that is none of ours, and one of ours, each busy for a moment."""
    busy = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    foreign = subprocess.Popen([sys.executable, "-c", busy])
    with quiet.Watch() as alone:
        while os.waitid(os.P_PID, foreign.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            time.sleep(0.01)
    foreign.wait()  # only now is its time ours
    with quiet.Watch() as ours:
        subprocess.run([sys.executable, "-c", busy], check=True)
    assert alone.foreign_share > 0.2
    assert ours.foreign_share < alone.foreign_share + 1  # others may be at work too, but not more than a core of them
