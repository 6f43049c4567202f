"""Finds what Markdown would load, link or run, in time linear in the text.

Code spans and fences are left out, backslash escapes count (CommonMark 0.31, sections 2.4, 6.1,
6.3 to 6.6). A bare address is not reported: its reader sees where it leads.
"""

import re
from collections.abc import Iterator
from typing import Final

_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_TICKS: Final = re.compile(r"\\.|`+", re.DOTALL)
_TAG: Final = re.compile(
    r"<(?=/?(?:img|script|iframe|svg|a|style|object|embed|video|audio|form|input|link|meta|base)"
    r"(?![a-z0-9]))",
    re.IGNORECASE,
)
_AUTOLINK: Final = re.compile(r"<((?:https?:)?//[^\s<>]{1,2000})>", re.IGNORECASE)
_DEFINITION: Final = re.compile(r"^ {0,3}\[[^\]\n]{1,900}\]:[ \t]*<?([^\s>]{1,2000})", re.MULTILINE)
_DESTINATION: Final = re.compile(r"[\s)>]")
_RUNS: Final = ("javascript:", "vbscript:", "data:")
_MAX_ADDRESS: Final = 2_000


def active(text: str, host: str) -> str | None:
    """Say what of a text is active and an attacker's; None if nothing is."""
    for block in _paragraphs(text):
        if found := _in_paragraph(_without_spans(block), host):
            return found
    return None


def _in_paragraph(text: str, host: str) -> str | None:
    for tag in _TAG.finditer(text):
        if not _escaped(text, tag.start()):
            shown = text[tag.start() : tag.start() + 40].partition("\n")[0]
            return f"an HTML tag: {shown}"
    for link in _AUTOLINK.finditer(text):
        if not _escaped(text, link.start()) and _leads(link[1], host):
            return f"an automatic link to {host}"
    for definition in _DEFINITION.finditer(text):
        if _leads(definition[1], host):
            return f"a link definition for {host}"
    return _inline_link(text, host)


def _inline_link(text: str, host: str) -> str | None:
    opened = False
    image = False
    for at, character in enumerate(text):
        if character not in "[]" or _escaped(text, at):
            continue
        if character == "[":
            image = image or (at > 0 and text[at - 1] == "!" and not _escaped(text, at - 1))
            opened = True
        elif opened and text[at + 1 : at + 2] == "(" and _leads(_target(text, at + 2), host):
            return f"{'an image' if image else 'a link'} to {_target(text, at + 2)[:60]}"
    return None


def _target(text: str, start: int) -> str:
    """Return the destination of an inline link."""
    rest = text[start : start + _MAX_ADDRESS].lstrip().lstrip("<")
    return _DESTINATION.split(rest, maxsplit=1)[0]


def _leads(address: str, host: str) -> bool:
    folded = "".join(address.split()).casefold()
    if folded.startswith(_RUNS):
        return True
    scheme, slashes, rest = folded.partition("//")
    if not slashes or scheme not in {"", "http:", "https:"}:
        return False
    return host in re.split(r"[/?#\\]", rest, maxsplit=1)[0]


def _escaped(text: str, at: int) -> bool:
    before = at
    while before > 0 and text[before - 1] == "\\" and at - before < _MAX_ADDRESS:
        before -= 1
    return (at - before) % 2 == 1


def _paragraphs(text: str) -> Iterator[str]:
    """Yield blocks without fenced code; no link and no span goes past a blank line."""
    fence = ""
    block: list[str] = []
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if found and (found[1][0] == "~" or "`" not in line[found.end() :]):
            fence = found[1]
        if found or not line.strip():
            yield "\n".join(block)
            block = []
            continue
        block.append(line)
    yield "\n".join(block)


def _without_spans(text: str) -> str:
    """Return a paragraph with its code spans blanked."""
    runs = [(m.start(), m.end()) for m in re.finditer("`+", text)]
    if not runs:
        return text
    closers: dict[int, list[int]] = {}
    for start, end in reversed(runs):
        closers.setdefault(end - start, []).append(start)  # the nearest is last
    parts: list[str] = []
    at = 0
    while (found := _TICKS.search(text, at)) is not None:
        if found[0][0] == "\\":
            parts.append(text[at : found.end()])
            at = found.end()
            continue
        length = found.end() - found.start()
        waiting = closers.get(length, [])
        while waiting and waiting[-1] < found.end():
            waiting.pop()
        parts.append(text[at : found.start()])
        if waiting:
            parts.append(" ")
            at = waiting.pop() + length
        else:
            parts.append(found[0])
            at = found.end()
    return "".join([*parts, text[at:]])
