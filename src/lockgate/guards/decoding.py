"""Undoes one level of the encodings in which instructions are hidden from filters."""

import binascii
import codecs
import html
import re
from base64 import b64decode
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

import re2

from lockgate.guards.compiled import quiet
from lockgate.guards.stream import encode

_LEET = bytes.maketrans(b"0134578@$!|", b"oieastbasil")
_WORDS = "ignore disregard forget instruction prompt reveal override bypass system pretend".split()
_MORE_WORDS = (
    "previous rules prior above earlier guidelines directive restriction developer assistant "
    "password secret safety print repeat output message jailbreak unrestricted execute delete"
).split()
"""Words that give digits for letters away, where the others are written as usual."""
_SIGNS_OF = {"o": "0", "i": "1!|", "l": "1|", "e": "3", "a": "4@", "s": "5$", "t": "7", "b": "8"}
_LEAST_PRINTABLE = 0.9
_WORD = re.compile(r"\w+")
_CODES = re.compile(r"(?:\\x|0x|\\u00|&#x|%|[\s,;:])+")

# What encodes ASCII has a clear top bit in every byte: one name in 4,096 has it by chance in four
# groups of Base64, so that few have to be decoded in vain.
_BASE64_GROUP = r"[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_BASE64 = rf"(?:{_BASE64_GROUP}){{4,}}[A-Za-z0-9+/_-]{{0,3}}={{0,2}}"
_HEX_BYTE = r"(?:\\x|0x|\\u00|&#x)?[2-7][0-9A-Fa-f][\s,;:]{0,2}"
_HEX = rf"(?:{_HEX_BYTE}){{8,}}"
_PERCENT = r"(?:[A-Za-z0-9_.~+-]*%[0-9A-Fa-f]{2}){2,}[A-Za-z0-9_.~+-]*"
_ENTITIES = r"(?:[^\s&]*&(?:#[0-9]{2,6}|#[xX][0-9A-Fa-f]{2,5}|[a-zA-Z]{2,10});){2,}[^\s&]*"
_SPACED = r"(?:\b[A-Za-z][ .*_|-]{1,3}){5,}[A-Za-z]\b"
_SIGNS = (
    rf"(?:{_BASE64_GROUP}){{4}}",
    rf"(?:{_HEX_BYTE}){{8}}",
    r"%[0-9A-Fa-f]{2}",
    r"&(?:#[0-9xX]|[a-zA-Z]+;)",
    r"(?:\b[A-Za-z][ .*_|-]{1,3}){5}",
)
"""What a text holds that holds one of the above, with few states."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text in which one encoding is undone, and where its parts come from."""

    encoding: str
    text: str
    _mirrored: int = 0
    """Characters of a text that was turned around as a whole."""
    _edges: tuple[tuple[int, int, int], ...] = ()
    """(place in the decoded text, place in the given text, characters that are replaced)"""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Return the part of the given text from which `start` to `end` was made."""
        if self._mirrored:
            return self._mirrored - end, self._mirrored - start
        if not self._edges:
            return start, end
        return self._place(start)[0], self._place(max(start, end - 1))[1]

    def _place(self, at: int) -> tuple[int, int]:
        made, given, replaced = self._edges[bisect_right(self._edges, (at, 1 << 60, 0)) - 1]
        if replaced:
            return given, given + replaced
        return given + at - made, given + at - made + 1


class Decoder:
    """Finds and undoes encodings. Built once: one pass says which of them a text may hold."""

    def __init__(self) -> None:
        rotated = "|".join(codecs.encode(word, "rot13") for word in _WORDS)
        vocabulary = "|".join(_leet_word(word) for word in (*_WORDS, *_MORE_WORDS))
        self._replacing: list[tuple[str, str, Callable[[str], str | None]]] = [
            ("base64", _BASE64, _from_base64),
            ("hex", _HEX, _from_hex),
            ("percent", _PERCENT, lambda text: unquote(text.replace("+", " "), errors="replace")),
            ("entities", _ENTITIES, html.unescape),
            ("spaced", _SPACED, _joined),
        ]
        self._gate = re2.Set.SearchSet(quiet(captures=False))
        for sign in _SIGNS:
            self._gate.Add(sign)
        self._gate.Add(f"(?i)\\b(?:{rotated})")
        self._gate.Add(f"(?i)(?:{vocabulary})")
        self._gate.Add(f"(?i)\\b(?:{'|'.join(word[::-1] for word in _WORDS)})")
        self._gate.Compile()
        self._compiled = [re2.compile(pattern, quiet()) for _, pattern, _ in self._replacing]

    def decoded(self, text: str) -> Iterator[Decoded]:
        """Yield the text once for each encoding that it may hold."""
        hits = set(self._gate.Match(text) or ())
        if not hits:
            return
        for index, (name, _, undo) in enumerate(self._replacing):
            if index in hits and (found := self._replaced(text, index, name, undo)) is not None:
                yield found
        rotated, leet = len(self._replacing), len(self._replacing) + 1
        if rotated in hits:
            yield Decoded("rot13", codecs.encode(text, "rot13"))
        if leet in hits:
            yield Decoded("leet", encode(text).translate(_LEET).decode())
        if leet + 1 in hits:
            yield Decoded("backwards", text[::-1], len(text))
            yield Decoded("words backwards", _WORD.sub(lambda word: word[0][::-1], text))

    def _replaced(
        self, text: str, index: int, name: str, undo: Callable[[str], str | None]
    ) -> Decoded | None:
        parts: list[str] = []
        edges: list[tuple[int, int, int]] = []
        at = made = 0
        for match in self._compiled[index].finditer(text):
            plain = undo(match[0])
            if plain is None or plain == match[0] or not plain:
                continue
            start, end = match.span()
            edges += (made, at, 0), (made + start - at, start, end - start)
            parts += text[at:start], plain
            made += start - at + len(plain)
            at = end
        if not parts:
            return None
        edges.append((made, at, 0))
        parts.append(text[at:])
        return Decoded(name, "".join(parts), _edges=tuple(edges))


def _leet_word(word: str) -> str:
    """Return a pattern of a word with a digit or sign for at least one of its letters."""
    either = [letter + _SIGNS_OF.get(letter, "") for letter in word]
    return "|".join(
        "".join(f"[{e}]" if len(e) > 1 else e for e in either[:place])
        + f"[{_SIGNS_OF[letter]}]"
        + "".join(f"[{e}]" if len(e) > 1 else e for e in either[place + 1 :])
        for place, letter in enumerate(word)
        if letter in _SIGNS_OF
    )


def _from_base64(run: str) -> str | None:
    plain = run.rstrip("=").replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1:
        plain = plain[:-1]
    try:
        return _readable(b64decode(plain + "=" * (-len(plain) % 4)))
    except (binascii.Error, ValueError):
        return None


def _from_hex(run: str) -> str | None:
    plain = _CODES.sub("", run)
    try:
        return _readable(bytes.fromhex(plain[: len(plain) // 2 * 2]))
    except ValueError:
        return None


def _readable(raw: bytes) -> str | None:
    """Return bytes as text if they look like a sentence."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    letters = sum(c.isalpha() or c in " .,!?:;'\n-" for c in text)
    return f" {text} " if letters >= _LEAST_PRINTABLE * len(text) > 0 else None


def _joined(run: str) -> str:
    """Take out what stands between letters; two separators stand for a space."""
    words = re.split(r"[ .*_|-]{2,3}", run)
    return " ".join(re.sub(r"[ .*_|-]", "", word) for word in words)
