"""The picture: bars of the fan-out, as SVG that reads in light and in dark."""

from __future__ import annotations

from xml.sax.saxutils import escape

from bench.results import Results

_PANELS = (
    ("fanout_w1", "1 publication under way"),
    ("fanout_w16", "16 publications under way"),
)
_LINE = 24
_LABEL_WIDTH = 280
_BAR_WIDTH = 360
_WIDTH = _LABEL_WIDTH + _BAR_WIDTH + 90
_HEAD = 44
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.o{fill:#8c959f}.s{fill:#1a7f5a}"
    ".l{fill:#d0d7de}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.o{fill:#6e7681}.s{fill:#3fb98a}.l{fill:#30363d}}"
)


def svg(results: Results) -> str:
    """Deliveries a second of every peer, a panel for each number of publications under way."""
    parts: list[str] = []
    top = 0
    for name, title in _PANELS:
        drawn, height = _panel(results, name, title, top)
        parts.append(drawn)
        top += height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}" '
        f'role="img" aria-label="Deliveries a second by server"><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def _panel(results: Results, name: str, title: str, top: int) -> tuple[str, int]:
    rows = [(peer, results.titles[peer], value) for peer in results.titles if (value := results.median(peer, name))]
    rows.sort(key=lambda row: -row[2])
    most = max((value for _, _, value in rows), default=1)
    parts = [f'<text class="t" x="8" y="{top + 26}">1 topic, 1,000 subscribers, {title}: deliveries a second</text>']
    for number, (peer, label, value) in enumerate(rows):
        y = top + _HEAD + number * _LINE
        width = max(value / most * _BAR_WIDTH, 1)
        kind = "l" if peer.startswith("limit") else "s" if peer.startswith("tidings") else "o"
        parts.append(
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{_LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="17" rx="2"/>'
            f'<text x="{_LABEL_WIDTH + width + 6:.1f}" y="{y + 13}">{value:,.0f}</text>'
        )
    return "".join(parts), _HEAD + len(rows) * _LINE + 12
