"""Puts the figures of a run into ``docs/benchmarks.md``, between its two marks, and the picture beside it."""

from __future__ import annotations

from bench import build, plot, tables
from bench.results import Results

PAGE = build.HERE.parent / "docs" / "benchmarks.md"
PICTURE = build.HERE.parent / "docs" / "images" / "benchmarks.svg"
KEPT = build.HERE / "results.json"
BEGIN, END = "<!-- measured: written by python -m bench --page -->", "<!-- end of measured -->"


def write(results: Results) -> None:
    """Replace what stands between the marks. Raises ValueError where a mark is missing."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has lost its marks")
    picture = f"![Deliveries a second by server](images/{PICTURE.name})"
    PAGE.write_text(f"{before}{BEGIN}\n\n{picture}\n\n{tables.markdown(results)}\n{END}{after}")
    PICTURE.write_text(plot.svg(results))
    results.save(KEPT)
