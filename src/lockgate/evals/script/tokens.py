"""Splits an expression into tokens (ECMA-262, section 12, without regular-expression flags)."""

import re
from typing import NamedTuple

MAX_LENGTH = 4_000
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<comment>//[^\n]*)
    |(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
    |(?P<sign>===|!==|=>|\?\?|\?\.|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,;(){}\[\]=])""",
    re.VERBOSE,
)
_REGEX = re.compile(r"/((?:[^/\\\n\[]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+)/([a-z]*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_HEX = re.compile(r"u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})")
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)


class Token(NamedTuple):
    """One word of an expression."""

    kind: str
    """`number`, `name`, `string`, `regex`, `sign` or `end`."""
    text: str
    at: int


class NotTranslated(ValueError):
    """An expression is more than what is translated."""


def tokens(code: str) -> list[Token]:
    """Return the tokens, and an end.

    Raises:
        NotTranslated: there is a character that begins none.

    """
    if len(code) > MAX_LENGTH:
        raise NotTranslated(f"longer than {MAX_LENGTH} characters")
    found: list[Token] = []
    at = 0
    while at < len(code):
        if code[at] == "/" and _operand_wanted(found) and code[at : at + 2] != "//":
            match = _REGEX.match(code, at)
            if match is None:
                raise NotTranslated("a `/` begins no pattern")
            if set(match[2]) - set("giu"):
                raise NotTranslated(f"a pattern has the flags `{match[2]}`")
            found.append(Token("regex", match[0], at))
        else:
            match = _TOKEN.match(code, at)
            if match is None:
                what = "a template literal" if code[at] == "`" else f"`{code[at]}`"
                raise NotTranslated(f"{what} is not read here")
            kind = match.lastgroup or ""
            if kind not in {"space", "comment"}:
                text = _unescaped(match[0][1:-1]) if kind == "string" else match[0]
                found.append(Token(kind, text, at))
        at = match.end()
    return [*found, Token("end", "", len(code))]


def _operand_wanted(before: list[Token]) -> bool:
    if not before:
        return True
    last = before[-1]
    if last.kind == "sign":
        return last.text not in {")", "]", "}"}
    return last.kind == "name" and last.text == "return"


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        found = _HEX.match(match[1])
        if found:
            return chr(int(found[1] or found[2], 16))
        return _ESCAPES.get(match[1], match[1])

    return _ESCAPED.sub(one, text) if "\\" in text else text
