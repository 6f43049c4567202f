"""Replaces personal data by pseudonyms: the same person has the same one everywhere.

A pseudonym is HMAC-SHA256 (RFC 2104) of what it stands for under a key: without the key nobody can
tell whom it means, not even by trying names, and with the same key two data sets still match.
Addresses are in `example.invalid` (RFC 2606), numbers in ranges that nobody has.
"""

import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import re2

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput

MIN_KEY: Final = 16
_SHORT: Final = 8
_LEAST_NAME: Final = 3
_COLONS: Final = 3
_GROUP: Final = re.compile(r"[0-9A-Fa-f]{4}:")
_MAX_NAME: Final = 200
_CARD: Final = range(13, 20)
_PHONE: Final = range(8, 16)
_IBAN_LETTER: Final = ord("A") - 10

_EMAIL: Final = (
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}"
)
_IBAN: Final = r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"
_NUMBER: Final = r"\+?\(?[0-9](?:[ ()./-]{0,3}[0-9]){7,18}"
_IPV4: Final = r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b"
_IPV6: Final = r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}"


@dataclass(slots=True)
class Masking:
    """Masks values under one key; counts what it replaced, by kind.

    Raises:
        InvalidInput: the key has fewer than 16 bytes.

    """

    key: bytes = field(repr=False)
    names: tuple[str, ...] = ()
    """Paths of members that hold a person's name, such as `input.author`."""
    counts: Counter[str] = field(default_factory=Counter)
    _patterns: tuple[tuple[str, "re2._Regexp[str]", Callable[[str], str | None]], ...] = field(
        init=False, repr=False
    )

    def __post_init__(self) -> None:
        if len(self.key) < MIN_KEY:
            raise InvalidInput(
                f"the key has {len(self.key)} bytes, at least {MIN_KEY} are needed",
                hint="make one: `head -c 32 /dev/urandom > key`",
            )
        self._patterns = (
            ("email", re2.compile(_EMAIL), self._email),
            ("iban", re2.compile(_IBAN), self._iban),
            ("ip", re2.compile(_IPV6), self._ip),
            ("ip", re2.compile(_IPV4), self._ip),
            ("number", re2.compile(_NUMBER), self._number),
        )

    def row(self, row: JsonObject) -> JsonObject:
        """Return a row without personal data: names of its name members are masked everywhere."""
        people = {name for path in self.names for name in _names_at(row, path.split("."))}
        ordered = sorted(people, key=lambda name: (-len(name), name))
        replacing = {name: self._person(name) for name in ordered}
        masked = self._value(row, replacing)
        assert isinstance(masked, dict)
        return masked

    def text(self, text: str, people: Mapping[str, str] | None = None) -> str:
        """Return a text without personal data."""
        for name, pseudonym in (people or {}).items():
            # RE2 knows the boundaries of ASCII words alone. A literal is matched in linear time.
            pattern = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
            text, count = pattern.subn(pseudonym, text)
            self.counts["name"] += count
        for kind, pattern, replace in self._patterns:
            text = self._replaced(text, kind, pattern, replace)
        return text

    def _replaced(
        self,
        text: str,
        kind: str,
        pattern: "re2._Regexp[str]",
        replace: Callable[[str], str | None],
    ) -> str:
        parts: list[str] = []
        at = 0
        for match in pattern.finditer(text):
            pseudonym = replace(match.group(0))
            if pseudonym is None:
                continue
            parts += text[at : match.start()], pseudonym
            at = match.end()
            self.counts[kind] += 1
        return "".join([*parts, text[at:]])

    def _value(self, value: Json, people: Mapping[str, str]) -> Json:
        match value:
            case str():
                return self.text(_legible(value), people)
            case dict():
                return {
                    self.text(_legible(k), people): self._value(v, people) for k, v in value.items()
                }
            case list() | tuple():
                return [self._value(item, people) for item in value]
            case _:
                return value

    def _code(self, kind: str, value: str, length: int = _SHORT) -> str:
        message = f"{kind}\0{value}".encode("utf-8", "replace")
        return hmac.digest(self.key, message, "sha256").hex()[:length]

    def _digits(self, kind: str, value: str, length: int) -> str:
        number = int(self._code(kind, value, 32), 16)
        return str(number).zfill(length)[-length:]

    def _person(self, name: str) -> str:
        return f"Person-{self._code('name', ' '.join(name.casefold().split()))}"

    def _email(self, found: str) -> str | None:
        if found.endswith(("@example.invalid", ".example.invalid")):
            return None
        return f"user-{self._code('email', found.casefold())}@example.invalid"

    def _iban(self, found: str) -> str | None:
        bare = found.replace(" ", "")
        if not _is_iban(bare):
            return None
        return f"{bare[:2]}00{self._digits('iban', bare, 16)}"  # check digits that no IBAN has

    def _ip(self, found: str) -> str | None:
        if ":" in found and found.count(":") < _COLONS and not _GROUP.match(found):
            return None  # `a::b` of a program rather than an address
        try:
            address = ipaddress.ip_address(found)
        except ValueError:
            return None
        if (
            address.is_loopback
            or address.is_unspecified
            or any(address in n for n in _DOCUMENTATION)
        ):
            return None
        code = int(self._code("ip", str(address)), 16)
        if address.version == 4:  # noqa: PLR2004
            return f"203.0.113.{code % 254 + 1}"  # RFC 5737
        return f"2001:db8::{code % 0x10000:x}"  # RFC 3849

    def _number(self, found: str) -> str | None:
        digits = "".join(c for c in found if c.isdigit())
        if len(digits) in _CARD and _is_luhn(digits):
            return f"0000-{self._digits('card', digits, 8)}-0000"
        # A bare run of digits is more often a count or an id than a telephone number.
        written = found.startswith(("+", "(")) or (
            found.startswith("0") and any(c in found for c in " /-()")
        )
        if written and len(digits) in _PHONE:
            return f"+000 {self._digits('phone', digits, 8)}"
        return None


_DOCUMENTATION: Final = (
    ipaddress.ip_network("203.0.113.0/24"),
    ipaddress.ip_network("2001:db8::/32"),
)


def _names_at(value: Json, path: list[str]) -> Iterable[str]:
    """Yield the texts at a path; a list on the way is gone through."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _names_at(item, path)
    elif not path:
        if isinstance(value, str) and _LEAST_NAME <= len(value.strip()) <= _MAX_NAME:
            yield _legible(value.strip())
    elif isinstance(value, dict) and path[0] in value:
        yield from _names_at(value[path[0]], path[1:])


def _is_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if at % 2 else 1)
        total += number - 9 if number > 9 else number  # noqa: PLR2004
    return total % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: the digits, letters as numbers from 10, are 1 modulo 97."""
    turned = text[4:] + text[:4]
    number = "".join(c if c.isdigit() else str(ord(c) - _IBAN_LETTER) for c in turned)
    return int(number) % 97 == 1


def _legible(text: str) -> str:
    """RE2 reads UTF-8, which has no lone surrogates."""
    return text.encode("utf-8", "replace").decode()
