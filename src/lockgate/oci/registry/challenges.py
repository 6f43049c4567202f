"""What a registry says that it wants: the WWW-Authenticate header (RFC 9110 11.6.1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 4096
_MOST: Final = 8
_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to prove who one is."""

    scheme: str
    """Lower case: `basic` or `bearer`, or one that we do not speak."""
    parameters: Mapping[str, str]
    """By lower-case name."""


def parse_challenges(header: str) -> Sequence[Challenge]:
    """Read a header; what is malformed ends the list. Linear in its bounded length."""
    text = header[:_LONGEST]
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(text) and len(found) <= _MOST:
        at = _skip(text, at, " \t,")
        word, at = _word(text, at)
        if not word:
            break
        after = _skip(text, at, " \t")
        if text[after : after + 1] == "=" and found:
            value, at = _value(text, _skip(text, after + 1, " \t"))
            found[-1][1].setdefault(word.lower(), value)
        else:
            found.append((word.lower(), {}))
    return [Challenge(scheme=scheme, parameters=values) for scheme, values in found[:_MOST]]


def _skip(text: str, at: int, these: str) -> int:
    while at < len(text) and text[at] in these:
        at += 1
    return at


def _word(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and text[end] in _TOKEN:
        end += 1
    return text[at:end], end


def _value(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != '"':
        return _word(text, at)
    out: list[str] = []
    at += 1
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            at += 1
        out.append(text[at : at + 1])
        at += 1
    return "".join(out), at + 1
