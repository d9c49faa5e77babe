"""Read JSON text as strictly as the wire does, and say where and how to mend it.

The parsers of the languages differ in what they forgive (NaN, lone surrogates, depth) and in what they say;
this reader and its twin ``js/src/json-text.ts`` say the same, character by character.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple, NoReturn

from tidings.core.codes import ErrorCode
from tidings.core.fault import Fault, shown
from tidings.core.limits import NESTING_MAX

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\ud800-\udfff]*')
_HEX = re.compile(r"\\u([0-9a-fA-F]{4})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_AFTER_NUMBER = re.compile(r"[0-9A-Za-z_.+-]")
_WORD = re.compile(r"-?[A-Za-z_][A-Za-z0-9_]*")
_QUOTES = frozenset("'`\u2018\u2019\u201c\u201d\u00ab\u00bb")
_FOREIGN = {"None": "null", "True": "true", "False": "false", "undefined": "null", "nil": "null"}
_FOREIGN |= {"NaN": "null", "Infinity": "null", "-Infinity": "null", "NULL": "null"}
_SHORT_ESCAPES = frozenset('"\\/bfnrt')


class JsonText(NamedTuple):
    """A value, and how many bytes its ``data.payload`` has as compact JSON; None where there is none."""

    value: Any
    payload_bytes: int | None


class JsonFault(Exception):
    """The text is not JSON, or not JSON that the wire takes."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.message)


def read_json(text: str) -> JsonText:
    """Read one JSON value. Raises JsonFault with what is wrong, where, and how to mend it."""
    reader = _Reader(text)
    reader.document()
    return JsonText(json.loads(text), reader.payload_bytes)


class _Reader:
    """Walks over the text; each method reads one thing and returns its bytes as compact JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.path: list[str] = []
        self.payload_bytes: int | None = None

    def document(self) -> None:
        if self._next() == "":
            self._fail("there is nothing", 'write an event: {"topic": …, "event": …, "data": {…}}')
        self._value(1)
        if self._next() != "":
            self._fail(f"{self._here()} comes after the end", "give one event, or one a line")

    def _next(self) -> str:
        """Skip white space; the character that follows, or nothing at the end."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> int:
        first = self._next()
        if first in ("{", "["):
            if depth > NESTING_MAX:
                self._too_deep()
            return self._object(depth) if first == "{" else self._array(depth)
        if first == '"':
            return self._string()
        for word in ("true", "false", "null"):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return len(word)
        return self._number(first)

    def _object(self, depth: int) -> int:
        self.at += 1
        size = 2
        if self._next() == "}":
            self.at += 1
            return size
        size += self._member(depth) + 1
        while self._comma("}"):
            size += self._member(depth) + 1
        self._close("}", "part fields by commas, and close the object with }")
        return size - 1

    def _member(self, depth: int) -> int:
        if self._next() != '"':
            self._wrong_name()
        start = self.at
        size = self._string()
        name = json.loads(self.text[start : self.at])
        if self._next() != ":":
            self._fail(f"{self._here()} stands where a colon must be", "part name and value by a colon")
        self.at += 1
        self.path.append(name)
        value = self._value(depth + 1)
        if self.path == ["data", "payload"]:
            self.payload_bytes = value
        self.path.pop()
        return size + 1 + value

    def _array(self, depth: int) -> int:
        self.at += 1
        size = 2
        if self._next() == "]":
            self.at += 1
            return size
        self.path.append("")
        size += self._value(depth + 1) + 1
        while self._comma("]"):
            size += self._value(depth + 1) + 1
        self.path.pop()
        self._close("]", "part values by commas, and close the array with ]")
        return size - 1

    def _comma(self, bracket: str) -> bool:
        """Whether a comma, and so another field or value, follows."""
        if self._next() != ",":
            return False
        comma = self.at
        self.at += 1
        if self._next() == bracket:
            self.at = comma
            self._fail("a comma has nothing after it", "take the comma away")
        return True

    def _close(self, bracket: str, hint: str) -> None:
        if self._next() != bracket:
            self._fail(f"{self._here()} stands where a comma or {bracket} must be", hint)
        self.at += 1

    def _string(self) -> int:
        self.at += 1
        size = 2
        while True:
            start = self.at
            match = _PLAIN.match(self.text, start)
            self.at = match.end() if match else start
            size += len(self.text[start : self.at].encode())
            character = self.text[self.at : self.at + 1]
            if character == '"':
                self.at += 1
                return size
            if character != "\\":
                self._wrong_in_string(character)
            size += self._escape()

    def _escape(self) -> int:
        if self.text[self.at + 1 : self.at + 2] in _SHORT_ESCAPES and self.at + 1 < len(self.text):
            self.at += 2
            return 1 if self.text[self.at - 1] == "/" else 2
        match = _HEX.match(self.text, self.at)
        if match is None:
            self._fail("an escape is none that JSON knows", "write \\\\ for a backslash, or \\u and four hex digits")
        code = int(match[1], 16)
        if 0xD800 <= code <= 0xDBFF:
            low = _HEX.match(self.text, match.end())
            if low is not None and 0xDC00 <= int(low[1], 16) <= 0xDFFF:
                self.at = low.end()
                return 4
        if 0xD800 <= code <= 0xDFFF:
            self._fail("a surrogate stands alone", "write both halves of the pair, or the character itself")
        self.at = match.end()
        return _encoded_size(code)

    def _number(self, first: str) -> int:
        match = _NUMBER.match(self.text, self.at)
        if match is None or _AFTER_NUMBER.match(self.text, match.end()):
            self._wrong_value(first)
        if not math.isfinite(float(match[0])):
            self._fail("a number is beyond the range of a double", "write it as a string", ErrorCode.BAD_EVENT)
        self.at = match.end()
        return len(match[0])

    # What is wrong.

    def _wrong_name(self) -> NoReturn:
        word = _WORD.match(self.text, self.at)
        if word is not None:
            self._fail(f"the name {shown(word[0])} has no quotes", f'write "{word[0]}"')
        if self._next() in _QUOTES:
            self._wrong_quotes()
        self._fail(f"{self._here()} stands where a name must be", "write names in double quotes")

    def _wrong_value(self, first: str) -> NoReturn:
        word = _WORD.match(self.text, self.at)
        if word is not None:
            mend = _FOREIGN.get(word[0])
            hint = f"write {mend}" if mend else "put text in double quotes"
            self._fail(f"{shown(word[0])} is no value of JSON", hint)
        if first in ("-", "+", ".") or "0" <= first <= "9":
            self._fail(
                "a number is not written as JSON has it",
                "write no plus sign and no zero in front, and digits on both sides of the point",
            )
        if first in _QUOTES and first != "":
            self._wrong_quotes()
        if first in ("/", "#"):
            self._fail("a comment begins", "take it away: JSON has no comments")
        if first == "\ufeff":
            self._fail("a byte order mark stands in front", "save it as UTF-8 without one")
        self._fail(f"{self._here()} stands where a value must be", "write a value, or take the comma or colon away")

    def _wrong_quotes(self) -> NoReturn:
        self._fail(f"{self._here()} stands for a quote", 'write strings in double quotes: "…"')

    def _wrong_in_string(self, character: str) -> NoReturn:
        if character == "":
            self._fail("the text ends within a string", "close the string")
        code = f"{ord(character):04x}"
        if character < " ":
            mend = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\u{code}")
            self._fail(f"{self._here()} stands raw in a string", f"write it as {mend}")
        self._fail(f"{self._here()} is no character", "write UTF-8")

    def _too_deep(self) -> NoReturn:
        path = "data.payload" if self.path[:2] == ["data", "payload"] else ""
        message = f"nests deeper than {NESTING_MAX} levels, at {self._position()}"
        raise JsonFault(Fault(ErrorCode.BAD_EVENT, path, message, "flatten the payload"))

    def _here(self) -> str:
        character = self.text[self.at : self.at + 1]
        return "the end of the text" if character == "" else shown(character)

    def _fail(self, what: str, hint: str, code: ErrorCode = ErrorCode.BAD_JSON) -> NoReturn:
        verb = "is no JSON" if code is ErrorCode.BAD_JSON else "cannot be sent"
        raise JsonFault(Fault(code, "", f"{verb}: {what}, at {self._position()}", hint))

    def _position(self) -> str:
        column = self.at - self.text.rfind("\n", 0, self.at)
        if "\n" not in self.text.rstrip(" \t\n\r"):
            return f"column {column}"
        return f"line {self.text.count(chr(10), 0, self.at) + 1}, column {column}"


def _encoded_size(code: int) -> int:
    """How many bytes a character that was escaped has in compact JSON."""
    if code in (0x22, 0x5C, 0x08, 0x09, 0x0A, 0x0C, 0x0D):
        return 2
    if code < 0x20:
        return 6
    return 1 if code < 0x80 else 2 if code < 0x800 else 3
