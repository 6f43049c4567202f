# ruff: noqa: RUF001, E501
"""Writes a text the plain way: what looks alike becomes alike, and what cannot be seen goes.

NFKD without combining marks, which contains what NFKC would unify (UAX 15); format characters and
variation selectors go; tag characters become the ASCII that they shadow (Unicode 15, 23.9); letters
that look like Latin ones become those (a choice from UTS 39's confusables).
"""

import re
import unicodedata
from bisect import bisect_right
from itertools import accumulate

_LIKE = {
    "a": "аɑαа", "b": "ЬƄвβ", "c": "сϲⅽᴄ", "d": "ԁⅾɗ", "e": "еєҽεℯ", "f": "ƒſ", "g": "ɡցǥ", "h": "һհн",
    "i": "іιɩɪıӏ", "j": "јϳ", "k": "кκᴋ", "l": "ⅼӀߊ", "m": "мⅿᴍ", "n": "пոηɴ", "o": "оοσօᴏ০٥", "p": "рρ",
    "q": "ԛգ", "r": "гᴦɾ", "s": "ѕꜱ", "t": "тτᴛ", "u": "υսцᴜ", "v": "ѵνᴠ", "w": "ԝωѡᴡш", "x": "хχ",
    "y": "уүγʏ", "z": "ᴢʐ", "A": "АΑᎪ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ",
    "J": "Ј", "K": "КΚ", "M": "МΜ", "N": "Ν", "O": "ОΟՕ", "P": "РΡ", "R": "Ꭱ", "S": "ЅՏ", "T": "ТΤ",
    "U": "Ս", "V": "ѴᏙ", "W": "Ԝ", "X": "ХΧ", "Y": "УΥҮ", "Z": "Ζ", " ": "\u2800\u3164\u115f\u1160",
    "'": "\u2018\u2019\u02bc", '"': "\u201c\u201d", "-": "\u2010\u2011\u2012\u2013\u2014\u2212",
}  # fmt: skip
_ALIKE = {like: plain for plain, likes in _LIKE.items() for like in likes}
_OTHERS = re.compile(r"[^\x00-\x7f]+")
_ASCII = bytes(range(128))
_LOWER = bytes(range(256)).lower()
_FEW = 24
_TAGS = range(0xE0020, 0xE007F)
_TAG_BLOCK = range(0xE0000, 0xE0080)
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810))


def foreign(text: str) -> frozenset[str]:
    """Return the characters of a text that are not ASCII."""
    return frozenset(_decoded(_encoded(text).translate(None, _ASCII)))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class Folder(dict[int, str]):
    """A table for `str.translate`, filled with the characters that it meets."""

    def __init__(self, *, alike: bool) -> None:
        super().__init__({code: chr(code).lower() for code in range(128)})
        self._alike = _ALIKE if alike else {}

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code), self._alike)
        # Bounded by Unicode, and kept far below it: a text in a large script would fill it.
        if len(self) < 20_000:
            self[code] = folded
        return folded

    def folded(self, text: str) -> str:
        """Return what `str.translate` would: most texts have few other characters than ASCII."""
        if text.isascii():
            return text.lower()
        others = foreign(text)
        if len(others) > _FEW:
            return _OTHERS.sub(lambda run: run[0].translate(self), text).lower()
        data = _encoded(text).translate(_LOWER)
        for character in others:
            folded = self[ord(character)]
            if folded == character:
                continue
            if not folded.isascii():
                # It might be folded again as one of the others.
                return _OTHERS.sub(lambda run: run[0].translate(self), text).lower()
            data = data.replace(_encoded(character), folded.encode())
        return _decoded(data)

    def original(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Return which characters of `text` became those from `start` to `end` of its folding."""
        if text.isascii():
            return start, end
        edges = [0, *accumulate(len(self[ord(c)]) for c in text)]
        first = bisect_right(edges, start) - 1
        last = bisect_right(edges, max(start, end - 1)) - 1
        return min(first, len(text)), min(last + 1, len(text))


def _fold(character: str, alike: dict[str, str]) -> str:
    code = ord(character)
    if code in _TAGS:
        return chr(code - 0xE0000).lower()
    if code in _TAG_BLOCK or any(code in selectors for selectors in _SELECTORS):
        return ""
    if character in alike:
        return alike[character].lower()
    if unicodedata.category(character) == "Cf" or code == 0x34F:
        return ""
    parts = unicodedata.normalize("NFKD", character)
    plain = (alike.get(p, p) for p in parts if not unicodedata.combining(p))
    return "".join(plain).lower()
