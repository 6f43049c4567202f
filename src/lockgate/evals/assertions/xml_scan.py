"""Elements inside a text that is not XML as a whole: balanced tags, found in one pass."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lockgate.evals.assertions.element_tree import Tree, Value

MAX_ELEMENTS = 1_000
_START = (
    r":A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f"
    r"\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = re.compile(rf"[{_START}][{_START}.0-9\xb7\u0300-\u036f\u203f\u2040-]*")  # XML 1.0, 2.3
_ATTRIBUTE = re.compile(r"([^\s=\"'/>]+)\s*(?:=\s*(?:\"[^\"]*\"|'[^']*'))?")


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: str
    start: int
    end: int
    """Behind the `>`."""
    name: str = ""


def elements_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans to look at: outermost elements, siblings with what is between as one."""
    closed = _closed(text)
    starts = {start for start, _, _ in closed}
    rows: dict[int | None, tuple[int, int]] = {}
    for start, end, parent in closed:
        if parent is None or parent not in starts:
            low, high = rows.get(parent, (start, end))
            rows[parent] = min(low, start), max(high, end)
    yield from sorted(rows.values())[:MAX_ELEMENTS]


def lenient_tree(text: str) -> Value:
    """Return the elements of a balanced text as an object."""
    tree = Tree()
    at = 0
    while at < len(text):
        opening = text.find("<", at)
        if opening < 0:
            tree.text(text[at:])
            break
        tag = _tag(text, opening)
        if tag is None:
            tree.text(text[at : opening + 1])
            at = opening + 1
            continue
        tree.text(text[at:opening])
        if tag.kind == "closing":
            tree.end()
        elif tag.kind in {"opening", "empty"}:
            inside = text[tag.start + 1 + len(tag.name) : tag.end - 1]
            tree.start(tag.name, _ATTRIBUTE.findall(inside))
            if tag.kind == "empty":
                tree.end()
        elif text.startswith("<![CDATA[", tag.start):
            tree.text(text[tag.start + 9 : tag.end - 3])
        at = tag.end
    return tree.whole()


def _closed(text: str) -> list[tuple[int, int, int | None]]:
    """Return start, end and the parent's start of each element that closes."""
    open_: list[tuple[str, int]] = []
    found: list[tuple[int, int, int | None]] = []
    at = 0
    while (at := text.find("<", at)) >= 0:
        tag = _tag(text, at)
        if tag is None:
            at += 1
            continue
        parent = open_[-1][1] if open_ else None
        if tag.kind == "empty":
            found.append((tag.start, tag.end, parent))
        elif tag.kind == "opening":
            open_.append((tag.name, tag.start))
        elif tag.kind == "closing":
            if open_ and open_[-1][0] == tag.name:
                _, start = open_.pop()
                found.append((start, tag.end, open_[-1][1] if open_ else None))
            else:
                open_.clear()
        at = tag.end
    return found


def _tag(text: str, at: int) -> _Tag | None:
    following = text[at + 1 : at + 2]
    if following == "!":
        return _Tag("declaration", at, _declaration_end(text, at))
    if following == "?":
        return _Tag("declaration", at, _after(text, "?>", at + 2))
    closing = following == "/"
    name = _NAME.match(text, at + 1 + closing)
    if name is None:
        return None
    end = _tag_end(text, name.end())
    if end is None:
        return None
    if closing:
        return _Tag("closing", at, end, name[0])
    empty = text[name.end() : end - 1].rstrip().endswith("/")
    return _Tag("empty" if empty else "opening", at, end, name[0])


_TAG_STOP = re.compile("[\"'<>]")


def _tag_end(text: str, at: int) -> int | None:
    """Return the place behind the tag's `>`; None if another tag or the end comes first."""
    while found := _TAG_STOP.search(text, at):
        if found[0] == ">":
            return found.end()
        if found[0] == "<":
            return None
        closing = text.find(found[0], found.end())
        if closing < 0:
            return None
        at = closing + 1
    return None


_DECLARATION_STOP = re.compile("[\"'\\[\\]>]")


def _declaration_end(text: str, at: int) -> int:
    if text.startswith("<!--", at):
        return _after(text, "-->", at + 4)
    if text.startswith("<![CDATA[", at):
        return _after(text, "]]>", at + 9)
    depth = 0
    place = at + 2
    while found := _DECLARATION_STOP.search(text, place):
        place = found.end()
        match found[0]:
            case "[":
                depth += 1
            case "]":
                depth = max(0, depth - 1)
            case ">":
                if not depth:
                    return place
            case quote:
                closing = text.find(quote, place)
                place = len(text) if closing < 0 else closing + 1
    return len(text)


def _after(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return len(text) if found < 0 else found + len(mark)
