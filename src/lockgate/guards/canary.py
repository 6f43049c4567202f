"""Tokens that are planted in a system prompt and must never come out of a model, in any writing."""

import base64
import codecs

from lockgate.domain.guard import Category
from lockgate.errors import InvalidConfig
from lockgate.guards.rules import Rule

LEAST = 12
"""Characters. A shorter token could come out by chance."""
MOST = 64

_BETWEEN = r"[\W_]{0,4}"
"""What may stand between the characters of a token that is spelled out."""
_BETWEEN_CODES = r"(?:[\W_]|0?x|u00|U000000|chr){0,6}"
_WRAPPED = r"[\s\"',]{0,3}"
_FULL_WIDTH = 0xFEE0
_PARTIAL = (0, 2, 3)
"""Characters of Base64 at the start that hold bits of what stands before the token."""


def canary_rules(tokens: tuple[str, ...]) -> tuple[Rule, ...]:
    r"""Return a rule for each token.

    Found are: the token in any case, with separators or invisible characters in it; backwards;
    in ROT13; in full-width letters; in Base64 at each of the three alignments, backwards too; in
    Base32; in hexadecimal, percent and `\x` codes; in decimal, octal and binary codes.

    Raises:
        InvalidConfig: a token is too short, too long, or has other characters than letters and
            digits.

    """
    return tuple(_rule(number, token) for number, token in enumerate(tokens, 1))


def _rule(number: int, token: str) -> Rule:
    if not LEAST <= len(token) <= MOST or not (token.isascii() and token.isalnum()):
        raise InvalidConfig(
            f"canary {number} is not {LEAST} to {MOST} ASCII letters and digits",
            hint="make one with `openssl rand -hex 16`",
        )
    return Rule(
        id=f"canary-{number}",
        description="token of a system prompt",
        regex="|".join(_writings(token)),
        keywords=(),
        entropy=0,
        group=0,
        allowed="",
        positives=(token, token[::-1].upper(), "-".join(token)),
        negatives=(token[:-1],),
        category=Category.CANARY,
    )


def _writings(token: str) -> list[str]:
    raw = token.encode()
    spelled = [token, token[::-1], codecs.encode(token, "rot13")]
    plain = [f"(?i:{_BETWEEN.join(map(_letter, text))})" for text in dict.fromkeys(spelled)]
    codes = [
        f"(?i:{_BETWEEN_CODES.join(f'{byte:02x}' for byte in raw)})",
        r"[\W_]{1,6}".join(str(byte) for byte in raw),
        r"[\W_o]{1,6}".join(f"0?{byte:o}" for byte in raw),
        _BETWEEN.join(f"{byte:08b}" for byte in raw),
    ]
    wrapped = [*_base64(raw), *_base64(raw[::-1]), _base32(raw)]
    return [*plain, *codes, *map(_wrapped, wrapped)]


def _letter(character: str) -> str:
    """Return a class of a character and its full-width form (Unicode, U+FF00 to U+FF5E)."""
    return f"[{character}{chr(ord(character) + _FULL_WIDTH)}]"


def _wrapped(text: str) -> str:
    either = {"+": "[+-]", "/": "[/_]"}
    return _WRAPPED.join(either.get(character, character) for character in text)


def _base64(raw: bytes) -> list[str]:
    """Return what is the same whatever stands around the token, at each alignment."""
    texts = []
    for shift, partial in enumerate(_PARTIAL):
        text = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        texts.append(text[partial : len(text) - bool((shift + len(raw)) % 3)])
    return texts


def _base32(raw: bytes) -> str:
    text = base64.b32encode(raw).decode().rstrip("=")
    return text[: len(raw) * 8 // 5]
