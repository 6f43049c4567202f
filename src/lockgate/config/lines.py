"""Finds the line on which each key of a TOML document stands.

`tomllib` gives values without positions. This walks a text that `tomllib` has accepted already,
so it skips values rather than judging them (TOML 1.0.0, https://toml.io/en/v1.0.0).
"""

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"')
_LITERAL = re.compile(r"'[^']*'")
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """Return the 1-based line of every table, key and array element of a valid document."""
    return _Walk(text).run()


def nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Return the line of `path`, or of the closest thing around it; 1 for the document."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 1


def dotted(path: KeyPath) -> str:
    """Return a path as a person would write it in the file: `tasks."my.task".engine`."""
    return ".".join(
        key if isinstance(key, str) and _BARE_KEY.fullmatch(key) else _quoted(key) for key in path
    )


def _quoted(key: str | int) -> str:
    return str(key) if isinstance(key, int) else json.dumps(key, ensure_ascii=False)


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [i for i, character in enumerate(text) if character == "\n"]
        self._lines: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}
        """How many elements each array of tables has so far."""

    def run(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._takes("[["):
                table = self._header(of_array=True)
            elif self._takes("["):
                table = self._header(of_array=False)
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self, *, of_array: bool) -> KeyPath:
        line = self._line()
        *parents, last = self._keys()
        path: KeyPath = ()
        for key in parents:
            path = self._element((*path, key))
            self._lines.setdefault(path, line)
        path = (*path, last)
        self._lines.setdefault(path, line)
        if of_array:
            self._tables[path] = self._tables.get(path, 0) + 1
            path = self._element(path)
            self._lines[path] = line
        self._at = self._text.index("]", self._at) + (2 if of_array else 1)
        return path

    def _element(self, path: KeyPath) -> KeyPath:
        """Name the newest element where `path` is an array of tables (TOML: Array of Tables)."""
        count = self._tables.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at = self._text.index("=", self._at) + 1
        self._skip(_SPACE)
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_SPACE)
            keys.append(self._key())
            self._skip(_SPACE)
            if not self._takes("."):
                return keys

    def _key(self) -> str:
        start = self._at
        if self._text[start] == '"':
            self._skip(_BASIC)
            quoted = self._text[start : self._at]
            return str(tomllib.loads(f"key = {quoted}")["key"])
        if self._text[start] == "'":
            self._skip(_LITERAL)
            return self._text[start + 1 : self._at - 1]
        self._skip(_BARE_KEY)
        return self._text[start : self._at]

    def _value(self, path: KeyPath) -> None:
        text, at = self._text, self._at
        if text.startswith(('"""', "'''"), at):
            self._long_string(text[at : at + 3])
        elif text[at] == '"':
            self._skip(_BASIC)
        elif text[at] == "'":
            self._skip(_LITERAL)
        elif self._takes("["):
            self._array(path)
        elif self._takes("{"):
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _long_string(self, quotes: str) -> None:
        self._at += 3
        while not self._text.startswith(quotes, self._at):
            escaped = quotes == '"""' and self._text[self._at] == "\\"
            self._at += 2 if escaped else 1
        self._at += 3
        while self._text.startswith(quotes[0], self._at):  # up to two quotes before the end
            self._at += 1

    def _array(self, path: KeyPath) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._takes("]"):
            self._lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            self._takes(",")
            self._skip(_BLANK)

    def _inline_table(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        while not self._takes("}"):
            self._pair(path)
            self._skip(_BLANK)
            self._takes(",")
            self._skip(_BLANK)

    def _takes(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        if found:
            self._at += len(token)
        return found

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at - 1) + 1
