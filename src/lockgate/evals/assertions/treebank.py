r"""Words as the Penn Treebank cuts them: punctuation apart, contractions in two.

After R. MacIntyre's tokenizer script for the Penn Treebank (1995), with the choices of js-rouge 3,
which promptfoo counts ROUGE with. Each pattern here is linear: no repetition holds another one.
"""

import re
import unicodedata

_SPACES = re.compile(
    r"[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+"
)
_QUOTES = re.compile("``|''|\"")
_SEPARATORS = re.compile(r"[:,](?!\d)")
_MARKS = re.compile(r"[;@#$%&]")
_LAST_STOP = re.compile(r"\.([\])}>' ]*)$")
_ENDS = re.compile(r"[?!]")
_BRACKETS = re.compile(r"[\][(){}<>]")
_CLOSING = re.compile(r"([^'])' ")
_POSSESSIVE = re.compile(r"'([sSmMdD]) ")
_CONTRACTED = re.compile(r"('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ")
_WORD = r"[\w\u200c\u200d]"
_TWO_WORDS = tuple(
    re.compile(rf"(?<!{_WORD}){pattern}(?!{_WORD})", re.IGNORECASE)
    for pattern in (
        "(can)(not)",
        "(d)('ye)",
        "(gim)(me)",
        "(gon)(na)",
        "(got)(ta)",
        "(lem)(me)",
        "(more)('n)",
        "(wan)(na)(?= )",
        "('t)(is)",
        "('t)(was)",
    )
)
_ABBREVIATED = re.compile(r"(?<!\w)[A-Za-z]\.[A-Za-z]$")


def treebank_words(text: str) -> list[str]:
    """Return the words of a sentence; none for a text of nothing but space."""
    text = _SPACES.sub(" ", text).strip(" ")
    if not text:
        return []
    if '"' in text or "''" in text or "``" in text:
        text = _mark_quotes(text)
    text = text.replace("...", " ... ")
    text = _SEPARATORS.sub(lambda found: f" {found[0]} ", text)
    text = _MARKS.sub(lambda found: f" {found[0]} ", text)
    text = _last_stop(text)
    text = _ENDS.sub(lambda found: f" {found[0]} ", text)
    text = _BRACKETS.sub(lambda found: f" {found[0]} ", text)
    text = f" {text.replace('--', ' -- ')} "
    if "'" in text:
        text = _CLOSING.sub(r"\1 ' ", text)
        text = _POSSESSIVE.sub(r" '\1 ", text)
        text = _CONTRACTED.sub(r" \1 ", text)
    for pattern in _TWO_WORDS:
        text = pattern.sub(r" \1 \2 ", text)
    return text.split()


def _last_stop(text: str) -> str:
    """Cut off the stop that ends the text, unless it ends an abbreviation such as `u.s.`."""
    found = _LAST_STOP.search(text, max(0, len(text.rstrip("])}>' ")) - 1))
    if found is None or found.start() == 0 or text[found.start() - 1] == ".":
        return text
    before = text[: found.start()]
    if _ABBREVIATED.search(before[-4:]):
        return text
    return f"{before} .{found[1]} "


def _mark_quotes(text: str) -> str:
    """Write opening quotes as two backticks and closing ones as two apostrophes."""
    inside = False
    parts: list[str] = []
    end = 0
    for found in _QUOTES.finditer(text):
        inside = _opens(text, found[0], found.start(), inside=inside)
        parts += [text[end : found.start()], " `` " if inside else " '' "]
        end = found.end()
    parts.append(text[end:])
    return "".join(parts)


def _opens(text: str, quote: str, at: int, *, inside: bool) -> bool:
    if quote == "``":
        return True
    before = text[at - 1] if at else " "
    after = text[at + len(quote) : at + len(quote) + 1]
    if inside or before in ".!?":
        return False
    kind = unicodedata.category(before)
    if not (before in " <" or kind.startswith("P")):
        return False
    if not after and at and not (before in " <" or kind == "Ps"):
        return False
    if quote == '"':
        return True
    following = _QUOTES.search(text, at + len(quote))
    return (
        at > 0
        and bool(after)
        and (unicodedata.category(after)[0] in "LN" or unicodedata.category(after) in {"Sc", "Ps"})
        and following is not None
        and following[0] == "''"
    )
