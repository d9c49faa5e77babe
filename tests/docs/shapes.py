"""Output as a page shows it, compared with what really came.

What differs from run to run is written on the pages in one way each: a cursor's epoch as ``k3f9`` (its offset must be
right), a time of day as any, ``...`` or an ellipsis for anything.
"""

from __future__ import annotations

import json
import re
from typing import Any


def same_text(shown: str, real: str, *, any_offset: bool = False) -> bool:
    """Whether the page's text, without white space at its lines' ends, says what came."""
    pattern = "\n".join(re.escape(line.rstrip()) for line in shown.strip().splitlines())
    offset = r"\\d+" if any_offset else r"\1"
    pattern = re.sub(r"k3f9\\-(\d+)", rf"[a-z0-9]{{1,32}}-{offset}", pattern)
    pattern = re.sub(r"\b\d\d:\d\d:\d\d\b", r"\\d\\d:\\d\\d:\\d\\d", pattern)
    pattern = re.sub(r"(?<=\\d)\\\.\d\d\d\b", r"\\.\\d\\d\\d", pattern)
    pattern = re.sub(r"\\\.\\\.\\\.|…", ".*", pattern)
    came = "\n".join(line.rstrip() for line in real.strip().splitlines())
    return re.fullmatch(pattern, came) is not None


def same_json(shown: str, real: str) -> bool:
    """Whether both hold the same JSON values, one or several, whatever their white space."""
    return _same(_values(shown), _values(real))


def _values(text: str) -> list[Any]:
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def _same(shown: Any, real: Any) -> bool:
    if isinstance(shown, dict) and isinstance(real, dict):
        return shown.keys() == real.keys() and all(_same(value, real[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(real, list):
        return len(shown) == len(real) and all(_same(one, other) for one, other in zip(shown, real, strict=True))
    if isinstance(shown, str) and isinstance(real, str):
        return same_text(shown, real)
    return type(shown) is type(real) and bool(shown == real)
