"""What a check of an event found, and foreign text made fit to be shown in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_SHOWN_MAX = 60

# Control characters, marks of direction, invisible characters, spaces that look like another and lone
# surrogates: raw in a terminal or a log they could move, hide or forge what stands there.
_UNPRINTABLE = re.compile(
    '["\\\\\x00-\x1f\x7f-\xa0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\uffff'
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an event, or not as it should be.

    :ivar code: of ``spec/codes.json`` for an error; of :data:`tidings.core.validator.WARNINGS` for a warning.
    :ivar path: where, such as ``data.entity_id``; empty for the event as a whole.
    :ivar message: what is wrong: the rest of a sentence that begins with the path.
    :ivar hint: how to mend it.
    """

    code: str
    path: str
    message: str
    hint: str


def shown(text: str) -> str:
    """Foreign text in quotes: at most 60 characters, and nothing in it that a terminal or a log would obey."""
    cut = f"{text[: _SHOWN_MAX - 1]}…" if len(text) > _SHOWN_MAX else text
    return f'"{_UNPRINTABLE.sub(_escape, cut)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    code = f"{ord(character):04x}"
    return f"\\u{{{code}}}" if len(code) > 4 else f"\\u{code}"


def kind_of(value: Any) -> str:
    """What kind of JSON value it is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
