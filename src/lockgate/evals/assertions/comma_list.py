r"""Texts with commas between, as `contains-any` takes them: `a, "b, c", d`.

Quotes keep commas; inside them `\"`, `\\` and `""` stand for the character. Repeated commas count
once.
"""

from lockgate.evals.javascript import WHITE_SPACE, trim

_SEPARATORS = frozenset(
    "," + WHITE_SPACE.replace("\u2000-\u200a", "".join(map(chr, range(0x2000, 0x200B))))
)
_SPACES = _SEPARATORS - {","}


def comma_list(text: str) -> list[str]:
    """Return the items.

    Raises:
        ValueError: a quote is not closed, or something other than a comma follows one.

    """
    if '"' not in text:
        return _unquoted(text)
    found: list[str] = []
    at = 0
    while True:
        at = _skip(text, at, _SEPARATORS)
        if at >= len(text):
            return found
        if text[at] != '"':
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            found.append(trim(text[at:end]))
            at = end
            continue
        item, at = _quoted(text, at + 1)
        found.append(item)
        at = _skip(text, at, _SPACES)
        if at < len(text) and text[at] != ",":
            raise ValueError(f"`{text[at]}` after a closing quote")


def _unquoted(text: str) -> list[str]:
    # An item of nothing but space between commas is no item, as in the general case.
    return [item for part in text.split(",") if (item := trim(part))]


def _skip(text: str, at: int, characters: frozenset[str]) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _quoted(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text):
        character, following = text[at], text[at + 1 : at + 2]
        if (character == "\\" and following in {'"', "\\"}) or (
            character == '"' and following == '"'
        ):
            parts.append(following)
            at += 2
        elif character == '"':
            return "".join(parts), at + 1
        else:
            parts.append(character)
            at += 1
    raise ValueError("a quote is not closed")
