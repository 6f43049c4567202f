"""Tags and text of HTML, as far as the question goes: is there an element, is there bare text.

Follows the tokenizer of the HTML standard (section 13.2.5) and, of tree construction (13.2.6), what
moves text: implied paragraphs' ends, formatting elements that reopen, tables that push text out.
"""

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z][^\s/>\0]*")
_RAW = frozenset(
    {"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"}
)
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_HEAD = frozenset({"base", "link", "meta", "title", "style", "script", "noscript", "template"})
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())
_ENDS_PARAGRAPH = frozenset(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr main menu nav ol p pre search section summary "
    "table ul li dd dt plaintext listing xmp".split()
)
_TABLE_PARTS = frozenset({"table", "tbody", "thead", "tfoot", "tr"})
_ONLY_IN_TABLES = frozenset(
    {"caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr", "frame"}
)
_WRAPPERS = frozenset({"html", "head", "body"})
_ORDER = {"html": 1, "head": 2, "body": 3}
_TEXT = 3
"""Text, and elements of the body, bring the body with them."""
_ATTRIBUTE_STOP = re.compile(r"[>=]")
_SPACE = " \t\n\f\r"


@dataclass(slots=True)
class Page:
    """What a text has as HTML."""

    elements: set[str] = field(default_factory=set)
    """Names of the elements that would be made, wrappers only where they are written."""
    bare_text: bool = False
    """Whether text stands in the body itself."""
    body: bool = False
    """Whether `<body>` is written before anything that would start a body by itself."""
    _begun: int = 0
    """The furthest of `_ORDER` that is there, written or not."""
    _started: bool = False
    """Whether the body is there."""
    _open: list[str] = field(default_factory=list)
    _formatting: list[str] = field(default_factory=list)

    def text(self, data: str) -> None:
        if not data.strip(_SPACE) or self.bare_text:
            return
        if not self._open:
            self._begun, self._started = _TEXT, True
        if self._open and self._open[-1] in _TABLE_PARTS:
            table = max(at for at, name in enumerate(self._open) if name in _TABLE_PARTS)
            while table > 0 and self._open[table] != "table":
                table -= 1
            self.bare_text = table == 0 and not self._formatting
            return
        self.bare_text = not self._open and not self._formatting

    def start(self, name: str) -> None:
        if name in _WRAPPERS:
            self._wrap(name)
            return
        in_head = name in _HEAD and not self._started
        self._begun = max(self._begun, _ORDER["head"] if in_head else _TEXT)
        self._started = self._started or not in_head
        if name in _ONLY_IN_TABLES and "table" not in self._open:
            return
        self.elements.add(name)
        if name in _ENDS_PARAGRAPH:
            self._close("p", within=("button", "td", "th", "caption", "object", "template"))
        if name in {"li", "option"} and name in self._open:
            self._close(name, within=("ul", "ol", "menu", "select", "datalist"))
        if name in _VOID:
            return
        self._open.append(name)
        if name in _FORMATTING:
            self._formatting.append(name)

    def _wrap(self, name: str) -> None:
        """Count a wrapper that is written before the parser would make one by itself."""
        place = _ORDER[name]
        if self._begun >= place:
            return
        self._begun = place
        self.elements.add(name)
        if name == "body":
            self.body = self._started = True

    def end(self, name: str) -> None:
        if name in {"body", "html", "br"}:
            self._begun, self._started = _TEXT, True
        if name in _FORMATTING and name in self._formatting:
            self._formatting.remove(name)
        if name in self._open:
            self._close(name)
        elif name == "br" or (name == "p" and self._started):
            self.elements.add(name)  # made although only its end stands there
            self._started = True

    def _close(self, name: str, within: tuple[str, ...] = ()) -> None:
        for at in range(len(self._open) - 1, -1, -1):
            if self._open[at] == name:
                del self._open[at:]
                return
            if self._open[at] in within:
                return


def read_page(text: str) -> Page:
    """Read a text as HTML, in one pass."""
    page = Page()
    lower = text.lower()
    at = 0
    while at < len(text):
        opening = text.find("<", at)
        if opening < 0:
            page.text(text[at:])
            break
        end = _markup_end(text, opening)
        if end is None:  # an unfinished tag at the end is dropped, a lone `<` is text
            page.text(text[at:opening] + ("" if _NAME.match(text, opening + 1) else text[opening]))
            if _NAME.match(text, opening + 1) or text.startswith("</", opening):
                break
            at = opening + 1
            continue
        page.text(text[at:opening])
        at = end
        closing = text.startswith("</", opening)
        name = _NAME.match(lower, opening + 1 + closing)
        if name is None:
            continue
        if closing:
            page.end(name[0])
            continue
        page.start(name[0])
        if name[0] in _RAW:
            at = _raw_end(lower, name[0], end)
    return page


def _markup_end(text: str, at: int) -> int | None:
    """Return the place behind the tag or comment at `at`; None if there is none."""
    following = text[at + 1 : at + 2]
    if text.startswith("<!--", at):
        if text.startswith((">", "->"), at + 4):
            return text.index(">", at) + 1
        found = text.find("-->", at + 4)
        return len(text) if found < 0 else found + 3
    if following in {"!", "?"}:
        return _behind(text, at)
    name = _NAME.match(text, at + 1 + (following == "/"))
    if name is None:
        return _behind(text, at) if following == "/" and at + 2 < len(text) else None
    return _tag_end(text, name.end())


def _behind(text: str, at: int) -> int:
    found = text.find(">", at)
    return len(text) if found < 0 else found + 1


def _tag_end(text: str, at: int) -> int | None:
    """Return the place behind the `>` of a tag: one inside a quoted value does not count."""
    while found := _ATTRIBUTE_STOP.search(text, at):
        at = found.end()
        if found[0] == ">":
            return at
        while text[at : at + 1] and text[at] in _SPACE:
            at += 1
        quote = text[at : at + 1]
        if quote in {'"', "'"}:
            closing = text.find(quote, at + 1)
            if closing < 0:
                return None
            at = closing + 1
    return None


def _raw_end(lower: str, name: str, at: int) -> int:
    """Return the place of the end tag of an element whose content is no markup."""
    mark = f"</{name}"
    while (found := lower.find(mark, at)) >= 0:
        after = lower[found + len(mark) : found + len(mark) + 1]
        if not after or after in f"{_SPACE}/>":
            return found
        at = found + len(mark)
    return len(lower)
