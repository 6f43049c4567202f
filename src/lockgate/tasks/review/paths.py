"""Reads file names as diffs write them: quoted, prefixed, with a time behind."""

import re

_PREFIXED = re.compile(r"[abciwo12]/")
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_OCTAL = re.compile(r"[0-3][0-7]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NOTHING = "/dev/null"


def unquote(text: str) -> tuple[str, str]:
    """Read a name at the start of `text`; return it and what follows it.

    Git quotes unusual names like C strings, with bytes in octal (git-config, core.quotePath).
    """
    if not text.startswith('"'):
        name, tab, rest = text.partition("\t")
        return name, tab + rest
    data = bytearray()
    at = 1
    while at < len(text) and text[at] != '"':
        if text[at] != "\\":
            data += text[at].encode("utf-8", "replace")
            at += 1
        elif _OCTAL.match(text, at + 1):
            data.append(int(text[at + 1 : at + 4], 8))
            at += 4
        else:
            escaped = text[at + 1 : at + 2]
            data += bytes([_ESCAPES[escaped]]) if escaped in _ESCAPES else escaped.encode()
            at += 2
    return data.decode("utf-8", "replace"), text[at + 1 :]


def pair(old: str, new: str) -> tuple[str, str]:
    """Take `a/` and `b/`, or `diff.mnemonicPrefix`'s letters, off two names.

    With `--no-prefix` both sides begin alike, and nothing is taken off.
    """
    known = [name for name in (old, new) if name != NOTHING]
    same = len(known) == 2 and known[0][:2] == known[1][:2]  # noqa: PLR2004
    if same or not all(_PREFIXED.match(name) for name in known):
        return old, new
    return tuple(name if name == NOTHING else name[2:] for name in (old, new))  # type: ignore[return-value]


def header(rest: str) -> tuple[str, str] | None:
    """Read the two names of a `diff --git` line; None if they cannot be told apart.

    Unquoted names may hold spaces, so only equal names are certain (git-diff, "Generating patch
    text with -p"); others come again in the lines that follow.
    """
    if rest.startswith('"'):
        old, rest = unquote(rest)
        return pair(old, unquote(rest.removeprefix(" "))[0])
    if rest.endswith('"') and ' "' in rest:
        old, _, new = rest.partition(' "')
        return pair(old, unquote('"' + new)[0])
    half = len(rest) // 2
    if rest[half : half + 1] != " ":
        words = rest.split(" ")
        return pair(words[0], words[1]) if len(words) == 2 else None  # noqa: PLR2004
    old, new = pair(rest[:half], rest[half + 1 :])
    if old == new:
        return old, new
    words = rest.split(" ")
    return pair(words[0], words[1]) if len(words) == 2 else None  # noqa: PLR2004


def shown(name: str) -> str:
    """Return a name that is safe to print on one line."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", name)
