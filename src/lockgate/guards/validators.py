"""What a pattern cannot say of a value: checksums, ranges, and what stands beside it.

A validator gets the text as UTF-8 bytes and where the value stands. It may look at no more than
`BEFORE` bytes before the value and one byte behind it: a stream has no more. It yields the parts
that are taken; none if the value is something else.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

from lockgate.guards import addresses, checksums, crypto, national, telling

Span = tuple[int, int]
Validator = Callable[[bytes, int, int], Iterable[Span]]

_DOTS = 3
BEFORE = 64
"""Bytes before a value that a stream keeps."""

_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")
_RUN = re.compile(rb"[0-9]+")
_AADHAAR = 14
_LEAST_DIGITS, _MOST_DIGITS, _MOST_GROUPS = 13, 19, 5
"""Of a payment card (ISO/IEC 7812-1)."""
_CARD_GROUPS = ((4, 6, 5), (4, 6, 4), (4, 3, 3, 3), (4, 4, 5), (4, 4, 4, 6))
"""Beside four by four: American Express, Diners, old Visa."""
_NO_DIGITS = bytes(c for c in range(256) if c not in _DIGITS)
_NO_PHONE = re.compile(rb"\+[0-9]+\.[0-9]+|\+[0-9]{4}-[0-9]{5}|\+[0-9]{6}-[0-9]{7}")
"""A decimal; a place on the map (ISO 6709)."""
_COLUMN = re.compile(rb"(?:[0-9]|[^A-Za-z0-9_][0-9A-Fa-f]{2}) $")
_PAIRS = 5
_VERSION = (
    b"v",
    b"V",
    b"==",
    b"~=",
    b">=",
    b"<=",
    b"~",
    b"^",
    b"ersion=",
    b"v=",
    b"version ",
    b"Version ",
    b"ver. ",
)


def _beside(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Return the bytes before and behind a value; a space where there is none."""
    before = data[start - 1] if start else 32
    behind = data[end] if end < len(data) else 32
    return before, behind


def _alone(data: bytes, start: int, end: int) -> bool:
    """Say whether a number is a whole one, and no part of a decimal or of a word."""
    before, behind = _beside(data, start, end)
    if before in _WORD or behind in _WORD or behind == 0x2D:
        return False
    # `std::1` and `a == 1` are code, `id: 1` and `id=1` are settings.
    if before in b":=":
        return data[start - 2 : start - 1] not in (b":", b"=", b"!", b"<", b">")
    return before not in b".-/#%&+$"


def digits(data: bytes, start: int, end: int) -> bytes:
    """Return the digits of a value, without what separates them."""
    return data[start:end].translate(None, _NO_DIGITS)


def _whole(judge: Callable[[bytes], bool]) -> Validator:
    """Make a validator that judges the value by itself."""

    def validate(data: bytes, start: int, end: int) -> Iterable[Span]:
        return ((start, end),) if judge(data[start:end]) else ()

    return validate


def _number(judge: Callable[[bytes], bool]) -> Validator:
    """Make a validator that judges the digits of a number that stands alone."""

    def validate(data: bytes, start: int, end: int) -> Iterable[Span]:
        if not _alone(data, start, end) or not judge(digits(data, start, end)):
            return ()
        return ((start, end),)

    return validate


def _cards(data: bytes, start: int, end: int) -> Iterator[Span]:
    """Take every payment card of a run of digit groups: a run may hold other numbers too."""
    before, behind = _beside(data, start, end)
    if before in _WORD or behind in _WORD or before in b".":
        return
    groups = [match.span() for match in _RUN.finditer(data, start, end)]
    at = 0
    while at < len(groups):
        found = _card_from(data, groups, at) if data[groups[at][0]] in b"23456" else None
        if found is None:
            at += 1
            continue
        yield groups[at][0], groups[found][1]
        at = found + 1


def _card_from(data: bytes, groups: list[Span], at: int) -> int | None:
    """Return the last group of a card that begins with a group; of several the longest."""
    size, last = 0, at
    sizes: list[int] = []
    while last < len(groups) and size < _MOST_DIGITS and last < at + _MOST_GROUPS:
        size += groups[last][1] - groups[last][0]
        sizes.append(size)
        last += 1
    for index in range(len(sizes) - 1, -1, -1):
        if _LEAST_DIGITS <= sizes[index] <= _MOST_DIGITS and _is_grouped(groups, at, index):
            number = digits(data, groups[at][0], groups[at + index][1])
            if checksums.card(number):
                return at + index
    return None


def _is_grouped(groups: list[Span], at: int, more: int) -> bool:
    """Say whether digits stand in groups as on a card, or together."""
    sizes = tuple(end - start for start, end in groups[at : at + more + 1])
    return len(sizes) == 1 or sizes in _CARD_GROUPS or sizes[:4] == (4, 4, 4, 4)


def _ipv4(data: bytes, start: int, end: int) -> Iterable[Span]:
    before, behind = _beside(data, start, end)
    if before in _WORD or before in b".-" or behind in _WORD or behind in b"-":
        return ()
    lead = data[max(0, start - 10) : start]
    # `Firefox/1.2.3.4` is a version, `http://1.2.3.4` and `/1.2.3.4` are addresses.
    if lead.endswith(_VERSION) or (lead[-1:] == b"/" and len(lead) > 1 and lead[-2] in _WORD):
        return ()
    value = data[start:end]
    # The pattern reads on where a fifth number follows, so that the place is there to be seen.
    if value.count(b".") != _DOTS:
        return ()
    return ((start, end),) if addresses.public_ipv4(value) else ()


def _ipv6(data: bytes, start: int, end: int) -> Iterable[Span]:
    before, behind = _beside(data, start, end)
    if before in _WORD or before in b":." or behind in _WORD or behind in b":":
        return ()
    # `2001:db8::/32` is a network and no address.
    if behind == 0x2F and data[start:end].endswith(b"::"):
        return ()
    return ((start, end),) if addresses.public_ipv6(data[start:end]) else ()


def _mac(data: bytes, start: int, end: int) -> Iterable[Span]:
    before, behind = _beside(data, start, end)
    # A fingerprint has more pairs than six.
    if before in b":-" or behind in b":-" or before in _WORD or behind in _WORD:
        return ()
    # The last line of one, too.
    if data[max(0, start - BEFORE) : start].rstrip(b" \t\r").endswith(b":\n"):
        return ()
    value = data[start:end]
    if value[2:3] * 5 != value[2::3]:
        return ()
    octets = value.translate(None, b":-")
    return () if len(set(octets)) == 1 else ((start, end),)


def _spanish(data: bytes, start: int, end: int) -> Iterable[Span]:
    before, behind = _beside(data, start, end)
    # `1.38435736E+12` is a number.
    if before in b".-+" or behind in b"+-" or not checksums.spanish_id(data[start:end]):
        return ()
    return ((start, end),)


def _aadhaar(data: bytes, start: int, end: int) -> Iterable[Span]:
    if end - start > _AADHAAR or _COLUMN.search(data, max(0, start - 5), start):
        return ()
    return _number(checksums.indian_id)(data, start, end)


def _phone(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a number with `+` and a country code."""
    before, behind = _beside(data, start, end)
    if before in _WORD or before in b"+-.=/" or behind in _WORD or behind in b"-":
        return ()
    value = data[start:end]
    if _NO_PHONE.fullmatch(value):
        return ()
    # An added line of a diff may begin with a number.
    if (before == 0x0A or start == 0) and value[1:].isdigit():
        return ()
    return ((start, end),) if checksums.e164(digits(data, start, end)) else ()


def _local_phone(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a number in a national form."""
    before, behind = _beside(data, start, end)
    if before in _WORD or before in b"+-.=/#:$" or behind in _WORD or behind in b"-":
        return ()
    value = data[start:end]
    if len(set(digits(data, start, end))) < 3:
        return ()
    separators = set(value) - _DIGITS - set(b"() ")
    if len(separators) > 1 or (separators and b" " in value and b"(" not in value):
        return ()
    # Columns of numbers, and bytes in hexadecimal.
    if before == 0x20 and _COLUMN.search(data, max(0, start - 5), start):
        return ()
    pairs = value.replace(b".", b" ").split(b" ")
    if len(pairs) >= _PAIRS and (len(pairs) > _PAIRS or _is_counting(pairs)):
        return ()
    return ((start, end),)


def _is_counting(pairs: list[bytes]) -> bool:
    return all(int(pair) + 1 == int(after) for pair, after in pairwise(pairs))


def _told_phone(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take what stands behind a word such as `phone`."""
    behind = _beside(data, start, end)[1]
    plain = digits(data, start, end)
    if behind in _WORD or not 7 <= len(plain) <= 15 or len(set(plain)) < 3:
        return ()
    return ((start, end),)


def _email(data: bytes, start: int, end: int) -> Iterable[Span]:
    value = data[start:end]
    name, _, host = value.replace(b"%40", b"@").rpartition(b"@")
    # `git@host:path` and `://user:password@host` lead to machines.
    if name == b"git":
        return ()
    if start and data[start - 1] in b":/":
        lead = data[max(0, start - BEFORE) : start].split()
        if b"://" in lead[-1]:
            return ()
    if not addresses.of_a_person(name, host):
        return ()
    top = host.rpartition(b".")[2].lower()
    labels = host.split(b".")[:-1]
    # `acorn@8.11.3.patch` is a version of something.
    if len(labels) > 1 and all(label.isdigit() for label in labels):
        return ()
    if top in addresses.FILE_ENDINGS or name.endswith(b".") or b".." in value:
        return ()
    return ((start, end),)


VALIDATORS: Mapping[str, Validator] = {
    "quoted-secret": telling.quoted,
    "bare-secret": telling.bare,
    "placed-secret": telling.placed,
    "varied": telling.varied,
    "password": telling.password,
    "card": _cards,
    "email": _email,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "mac": _mac,
    "phone": _phone,
    "local-phone": _local_phone,
    "told-phone": _told_phone,
    "iban": _whole(checksums.iban),
    "ssn": _number(checksums.ssn),
    "spanish-id": _spanish,
    "french-id": _whole(checksums.french_id),
    "italian-id": _whole(checksums.italian_id),
    "dutch-id": _number(checksums.dutch_id),
    "polish-id": _number(checksums.polish_id),
    "german-tax-id": _number(checksums.german_tax_id),
    "british-id": _whole(checksums.british_id),
    "nhs-number": _number(checksums.nhs_number),
    "brazilian-id": _number(checksums.brazilian_id),
    "indian-id": _aadhaar,
    "swedish-id": _number(checksums.swedish_id),
    "finnish-id": _whole(checksums.finnish_id),
    "canadian-id": _number(checksums.luhn),
    "chinese-id": _whole(national.chinese_id),
    "singapore-id": _whole(national.singapore_id),
    "swiss-id": _number(national.swiss_id),
    "mexican-id": _whole(national.mexican_id),
    "brazilian-company": _number(national.brazilian_company),
    "chilean-id": _whole(national.chilean_id),
    "belgian-id": _number(national.belgian_id),
    "norwegian-id": _number(national.norwegian_id),
    "czech-id": _number(national.czech_id),
    "romanian-id": _number(national.romanian_id),
    "turkish-id": _number(national.turkish_id),
    "south-african-id": _number(national.south_african_id),
    "portuguese-id": _number(national.portuguese_id),
    "korean-id": _number(national.korean_id),
    "australian-tax-number": _number(national.australian_tax_number),
    "us-itin": _number(national.us_itin),
    "passport": _whole(lambda value: sum(c in _DIGITS for c in value) >= 5),
    "any": _whole(bool),
    "bitcoin": _whole(crypto.bitcoin),
    "bech32": _whole(crypto.bech32),
    "ethereum": _whole(crypto.ethereum),
    "birth-date": _whole(checksums.birth_date),
    "coordinates": _whole(addresses.coordinates),
}
