r"""JavaScript's regular expressions (ECMA-262, section 22.2, with Annex B) as RE2's.

What differs: `\s` and `.`, `[]` and `[^]`, `\uXXXX`, `\cX`, `\0`, octal and identity escapes, and
braces that are no quantifier. What RE2 cannot do in linear time is refused: looking around, and
references back.
"""

import re
from functools import lru_cache
from typing import Any

_SPACE = (
    r"\t\n\x0b\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
)
_NOT_SPACE = (
    r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}"
)
_DOT = r"[^\n\r\x{2028}\x{2029}]"
_QUANTIFIER = re.compile(r"\{[0-9]{1,9}(,([0-9]{1,9})?)?\}")
_SAME = frozenset("dDwWbBfnrt")
_GROUP = re.compile(r"\?<([A-Za-z_$][A-Za-z0-9_$]{0,100})>")
_OCTAL = re.compile(r"[0-3][0-7]{0,2}|[4-7][0-7]?")
_NAMED = re.compile(r"\(\?<[A-Za-z_$]")
_LETTER_BITS = 31
_MEMORY_BYTES = 64 << 20


class NotLinear(ValueError):
    """The pattern looks around or refers back."""


def to_re2(pattern: str) -> str:
    """Return the pattern for RE2.

    Raises:
        NotLinear: it needs backtracking.
        ValueError: it is no pattern.

    """
    return _Translation(pattern).translated()


class _Translation:
    """One pass over a pattern."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
        self._named = _NAMED.search(pattern) is not None
        self._groups = _count_groups(pattern)

    def translated(self) -> str:
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "\\":
                self._out.append(self._escape(in_class=False))
            elif character == "[":
                self._class()
            elif character == "(":
                self._group()
            elif character == "{":
                self._brace()
            else:
                self._out.append({".": _DOT, "}": r"\}", "]": r"\]"}.get(character, character))
                self._at += 1
        return "".join(self._out)

    def _group(self) -> None:
        after = self._text[self._at + 1 : self._at + 4]
        if after.startswith(("?=", "?!")):
            raise NotLinear("a look ahead")
        if after.startswith(("?<=", "?<!")):
            raise NotLinear("a look behind")
        found = _GROUP.match(self._text, self._at + 1)
        if found:
            self._out.append(f"(?P<{found[1].replace('$', '_')}>")
            self._at = found.end()
            return
        if after.startswith("?") and not after.startswith("?:"):
            raise ValueError(f"invalid group at character {self._at + 1}")
        self._out.append("(")
        self._at += 1

    def _brace(self) -> None:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:  # Annex B: a brace that opens no quantifier is itself
            self._out.append(r"\{")
            self._at += 1
            return
        self._out.append(found[0])
        self._at = found.end()

    def _class(self) -> None:
        end = self._at + 1
        negated = self._text[end : end + 1] == "^"
        self._at = end + negated
        parts: list[str] = []
        while self._at < len(self._text) and self._text[self._at] != "]":
            character = self._text[self._at]
            if character == "\\":
                parts.append(self._escape(in_class=True))
                continue
            parts.append("\\[" if character == "[" else r"\^" if character == "^" else character)
            self._at += 1
        if self._at >= len(self._text):
            raise ValueError("a class is not closed")
        self._at += 1
        if not parts:
            self._out.append(r"[\x{0}-\x{10ffff}]" if negated else r"[^\x{0}-\x{10ffff}]")
            return
        self._out.append(f"[{'^' if negated else ''}{''.join(parts)}]")

    def _escape(self, *, in_class: bool) -> str:  # noqa: C901, PLR0911  one return an escape
        text, at = self._text, self._at + 1
        if at >= len(text):
            raise ValueError("a backslash ends the pattern")
        letter = text[at]
        self._at = at + 1
        if letter == "b" and in_class:
            return r"\x08"
        if letter in _SAME:
            return f"\\{letter}"
        if letter == "v":
            return r"\x0b"
        if letter == "s":
            return _SPACE if in_class else f"[{_SPACE}]"
        if letter == "S":
            return _NOT_SPACE if in_class else f"[^{_SPACE}]"
        if letter == "x":
            return self._code(2)
        if letter == "u":
            return self._code(4)
        if letter == "c":
            following = text[at + 1 : at + 2]
            if following.isascii() and following.isalpha():
                self._at = at + 2
                return f"\\x{{{ord(following) & _LETTER_BITS:x}}}"
            self._at = at
            return r"\\"
        if letter == "k" and self._named:
            raise NotLinear("a reference back")
        if letter.isascii() and letter.isdigit():
            return self._digits(in_class=in_class)
        return _literal(letter)

    def _digits(self, *, in_class: bool) -> str:
        found = re.match(r"[0-9]{1,9}", self._text[self._at - 1 :])
        assert found is not None
        if not in_class and found[0][0] != "0" and int(found[0]) <= self._groups:
            raise NotLinear("a reference back")
        octal = _OCTAL.match(self._text, self._at - 1)
        if octal is None:  # Annex B: \8 and \9 are the digits
            return found[0][0]
        self._at = octal.end()
        return f"\\x{{{int(octal[0], 8):x}}}"

    def _code(self, length: int) -> str:
        digits = self._text[self._at : self._at + length]
        if len(digits) == length and re.fullmatch(r"[0-9a-fA-F]+", digits):
            self._at += length
            return f"\\x{{{digits}}}"
        return self._text[self._at - 1]


def _literal(character: str) -> str:
    return f"\\{character}" if character.isascii() and not character.isalnum() else character


def _count_groups(pattern: str) -> int:
    """Return how many groups capture: a larger number after a backslash is an octal escape."""
    count = at = 0
    in_class = False
    while at < len(pattern):
        character = pattern[at]
        if character == "\\":
            at += 1
        elif character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        elif character == "(" and not in_class:
            count += pattern[at + 1 : at + 2] != "?" or _GROUP.match(pattern, at + 1) is not None
        at += 1
    return count


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, any_case: bool = False) -> Any:
    """Return the pattern, compiled. Raises ValueError, NotLinear among them."""
    import re2  # noqa: PLC0415  a suite without patterns never needs it

    translated = to_re2(pattern)
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not any_case
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(translated, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
