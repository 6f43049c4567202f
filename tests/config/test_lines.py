import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.config.lines import KeyPath, dotted, key_lines, nearest_line

TRICKY = '''[[shelf]]
name.short = 1
[shelf.label]
rows = [1,
  2, {colour = "red", "a.b" = [
    {deep = 1}]}]
[[shelf.book]]
text = """
fake = 2 \\""" ["""""
raw = \'\'\'
[fake]\'\'\'
[[shelf.book]]
n = 1 # n = 2
[[shelf]]
[[shelf.book]]
[a."b c".'d.e']
'f' = 2026-11-21 01:00:00
"g\\u0041" = "\\"]"
'''


def test_every_key_of_a_document_is_found_on_its_line() -> None:
    tomllib.loads(TRICKY)

    assert key_lines(TRICKY) == {
        ("shelf",): 1,
        ("shelf", 0): 1,
        ("shelf", 0, "name"): 2,
        ("shelf", 0, "name", "short"): 2,
        ("shelf", 0, "label"): 3,
        ("shelf", 0, "label", "rows"): 4,
        ("shelf", 0, "label", "rows", 0): 4,
        ("shelf", 0, "label", "rows", 1): 5,
        ("shelf", 0, "label", "rows", 2): 5,
        ("shelf", 0, "label", "rows", 2, "colour"): 5,
        ("shelf", 0, "label", "rows", 2, "a.b"): 5,
        ("shelf", 0, "label", "rows", 2, "a.b", 0): 6,
        ("shelf", 0, "label", "rows", 2, "a.b", 0, "deep"): 6,
        ("shelf", 0, "book"): 7,
        ("shelf", 0, "book", 0): 7,
        ("shelf", 0, "book", 0, "text"): 8,
        ("shelf", 0, "book", 0, "raw"): 10,
        ("shelf", 0, "book", 1): 12,
        ("shelf", 0, "book", 1, "n"): 13,
        ("shelf", 1): 14,
        ("shelf", 1, "book"): 15,
        ("shelf", 1, "book", 0): 15,
        ("a",): 16,
        ("a", "b c"): 16,
        ("a", "b c", "d.e"): 16,
        ("a", "b c", "d.e", "f"): 17,
        ("a", "b c", "d.e", "gA"): 18,
    }


def test_windows_line_ends_do_not_shift_lines() -> None:
    assert key_lines("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {
        ("a",): 1,
        ("b",): 3,
        ("b", "c"): 4,
    }


def test_a_key_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = key_lines("x = 1\n[a.b]\nc = 2\n")

    assert nearest_line(lines, ("a", "b", "missing")) == 2
    assert nearest_line(lines, ("missing",)) == 1


def test_a_path_is_written_as_in_the_file() -> None:
    assert dotted(("models", "my.model", "files", 2, "size")) == 'models."my.model".files.2.size'


KEYS = st.text("ab.\"'\\ \n=#[]", min_size=1, max_size=4)
VALUES = st.recursive(
    st.integers() | st.booleans() | st.text("ab\"'\\\n\r=#[]{},", max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(KEYS, VALUES, max_size=4), headers=st.booleans())
def test_all_paths_of_any_document_are_found(document: dict[str, Any], *, headers: bool) -> None:
    text, expected = _write(document, headers=headers)
    assert tomllib.loads(text) == document

    assert key_lines(text) == expected


def _write(document: dict[str, Any], *, headers: bool) -> tuple[str, dict[KeyPath, int]]:
    """Write a document one top-level key a line, and say where each path went."""
    out: list[str] = []
    expected: dict[KeyPath, int] = {}
    plain = {k: v for k, v in document.items() if not (headers and isinstance(v, dict))}
    tables = {k: v for k, v in document.items() if k not in plain}
    for key, value in plain.items():
        out.append(f"{_string(key)} = {_inline(value)}")
        expected |= dict.fromkeys(_paths(value, (key,)), len(out))
    for key, table in tables.items():
        out.append(f"[ {_string(key)} ]")
        expected[(key,)] = len(out)
        for inner, value in table.items():
            out.append(f"{_string(inner)}={_inline(value)} # {inner!r}")
            expected |= dict.fromkeys(_paths(value, (key, inner)), len(out))
    return "\n".join(out), expected


def _paths(value: Any, path: KeyPath) -> list[KeyPath]:
    found = [path]
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    if isinstance(inner, dict):
        for key, item in inner.items():
            found += _paths(item, (*path, key))
    return found


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " , ".join(map(_inline, value)) + "]"
    return str(value)


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"'


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment"])
def test_an_empty_document_has_no_lines(text: str) -> None:
    assert key_lines(text) == {}
