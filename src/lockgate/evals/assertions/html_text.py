"""`is-html` and `contains-html`."""

from functools import cache
from typing import Any

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, verdict
from lockgate.evals.assertions.html_scan import read_page
from lockgate.evals.javascript import text_output, trim

MAX_TEXT = 10 << 20
_WRAPPERS = frozenset({"html", "head", "body"})
# The elements of the HTML standard (section 4), without the obsolete ones.
_ELEMENTS = frozenset(
    "title base link meta style article section nav aside h1 h2 h3 h4 h5 h6 header footer "
    "address p hr pre blockquote ol ul li dl dt dd figure figcaption main div a em strong small "
    "s cite q dfn abbr ruby rt rp data time code var samp kbd sub sup i b u mark bdi bdo span "
    "br wbr img iframe embed object param picture source video audio track map area svg math "
    "script noscript canvas ins del table caption colgroup col tbody thead tfoot tr td th form "
    "label input button select datalist optgroup option textarea output progress meter fieldset "
    "legend details summary dialog menu slot template".split()
)
_SPACE = (
    r"[\t\n\x0b\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
    r"\x{feff}]"
)
_OPENING = rf"<[a-zA-Z][a-zA-Z0-9-]*(?:{_SPACE}[^>]*)?>"
_CLOSING = rf"</[a-zA-Z][a-zA-Z0-9-]*{_SPACE}*>"
_SIGNS = (
    (1, rf"<[a-zA-Z][a-zA-Z0-9-]*(?:{_SPACE}[^>]*)?/>"),
    (1, r"&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);"),
    (2, rf"(?i)<!DOCTYPE{_SPACE}+html"),
    (1, r"<!--[^-]*(?:-[^-]+)*-->"),
    (1, rf"{_SPACE}[a-zA-Z-]+={_SPACE}*[\"'][^\"']*[\"']"),
    (
        2,
        (
            r"(?i)<(html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input"
            r"|button|script|style|link|meta|br|hr)\b"
        ),
    ),
)
_ENOUGH = 2


def is_html(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Ask for known elements, and for no text outside of them unless `<body>` is written."""
    problem = _problem(trim(text_output(output)))
    return verdict(bool(problem) is assertion.inverse, problem or "the output is HTML")


def contains_html(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for signs of HTML: two weak ones or a strong one."""
    text = text_output(output)
    found = len(text) <= MAX_TEXT and _weight(text) >= _ENOUGH
    return verdict(
        found is not assertion.inverse,
        f"expected output to {'not ' if assertion.inverse else ''}contain HTML",
    )


def _problem(text: str) -> str:
    if not text:
        return "the output is empty"
    if len(text) > MAX_TEXT:
        return f"the output is longer than {MAX_TEXT} characters"
    if text[:5].lower() == "<?xml":
        return "the output is XML, not HTML"
    page = read_page(text)
    if page.bare_text and not page.body:
        return "text stands outside of the HTML elements"
    if not any(n in _ELEMENTS or n in _WRAPPERS or "-" in n for n in page.elements):
        return "the output has no known HTML element"
    return ""


def _weight(text: str) -> int:
    opening, closing, signs = _patterns()
    weight = bool(opening.search(text)) + bool(closing.search(text))
    return weight + sum(points for points, pattern in signs if pattern.search(text))


@cache
def _patterns() -> tuple[Any, Any, tuple[tuple[int, Any], ...]]:
    import re2  # noqa: PLC0415  linear time whatever a model wrote

    signs = tuple((points, re2.compile(pattern)) for points, pattern in _SIGNS)
    return re2.compile(_OPENING), re2.compile(_CLOSING), signs
