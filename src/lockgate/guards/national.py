"""Check digits of national numbers beyond those of `checksums`, as their authorities give them."""

from lockgate.guards.checksums import luhn, weighted

_MONTHS = 12
_DAYS = 31
_CHINESE = b"10X98765432"
_SINGAPORE = {
    b"S": b"JZIHGFEDCBA",
    b"T": b"GFEDCBAJZIH",
    b"F": b"XWUTRQPNMLK",
    b"G": b"RQPNMLKXWUT",
}
_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_HUNDRED = 100


def chinese_id(value: bytes) -> bool:
    """Say whether a resident identity number has a date and its check character (GB 11643)."""
    total = weighted(value[:17], [2**place % 11 for place in range(17, 0, -1)])
    return _is_day(value[10:12], value[12:14]) and _CHINESE[total % 11] == value[17]


def singapore_id(value: bytes) -> bool:
    """Say whether the letter of a NRIC or FIN is right."""
    letters = _SINGAPORE[value[:1]]
    return letters[weighted(value[1:8], (2, 7, 6, 5, 4, 3, 2)) % 11] == value[8]


def swiss_id(digits: bytes) -> bool:
    """Say whether an AHV number has its check digit (EAN-13)."""
    return weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def mexican_id(value: bytes) -> bool:
    """Say whether a CURP has a date and its check digit."""
    total = sum(_CURP.index(chr(c)) * (18 - place) for place, c in enumerate(value[:17]))
    return _is_day(value[6:8], value[8:10]) and -total % 10 == value[17] - 48


def brazilian_company(digits: bytes) -> bool:
    """Say whether a CNPJ has its check digits."""
    weights = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = 11 - weighted(digits, weights) % 11
    second = 11 - weighted(digits, (6, *weights)) % 11
    return (first % 11 % 10, second % 11 % 10) == (digits[12] - 48, digits[13] - 48)


def chilean_id(value: bytes) -> bool:
    """Say whether a RUT has its check character (modulus 11)."""
    plain = value.replace(b".", b"").replace(b"-", b"").upper()
    factors = [2 + place % 6 for place in range(len(plain) - 1)]
    rest = -weighted(plain[-2::-1], factors) % 11
    return b"0123456789K"[rest] == plain[-1]


def belgian_id(digits: bytes) -> bool:
    """Say whether a national number has its check digits, for births before or since 2000."""
    number, check = int(digits[:9]), int(digits[9:])
    return check in (97 - number % 97, 97 - (2 * 10**9 + number) % 97)


def norwegian_id(digits: bytes) -> bool:
    """Say whether a fødselsnummer has its two check digits."""
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == second == 0 and 1 <= int(digits[:2]) % 40 <= _DAYS


def czech_id(digits: bytes) -> bool:
    """Say whether a rodné číslo can be divided by eleven and has a month."""
    return int(digits) % 11 == 0 and 1 <= int(digits[2:4]) % 50 % 20 <= _MONTHS


def romanian_id(digits: bytes) -> bool:
    """Say whether a CNP has a date and its check digit."""
    rest = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return _is_day(digits[3:5], digits[5:7]) and (1 if rest > 9 else rest) == digits[12] - 48


def turkish_id(digits: bytes) -> bool:
    """Say whether a Turkish identity number has its two check digits."""
    d = [c - 48 for c in digits]
    return (sum(d[0:9:2]) * 7 - sum(d[1:8:2])) % 10 == d[9] and sum(d[:10]) % 10 == d[10]


def south_african_id(digits: bytes) -> bool:
    """Say whether an identity number has a date and its check digit."""
    return _is_day(digits[2:4], digits[4:6]) and luhn(digits)


def portuguese_id(digits: bytes) -> bool:
    """Say whether a NIF has its check digit."""
    rest = weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == digits[8] - 48


def korean_id(digits: bytes) -> bool:
    """Say whether a resident registration number has a date and a sex; newer ones have no check."""
    return _is_day(digits[2:4], digits[4:6]) and digits[6] in b"12345678"


def australian_tax_number(digits: bytes) -> bool:
    """Say whether a tax file number of nine digits has its check."""
    return weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 and len(set(digits)) > 1


def us_itin(digits: bytes) -> bool:
    """Say whether a number is in the ranges of individual taxpayers (IRS)."""
    group = int(digits[3:5])
    return 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group < _HUNDRED


def _is_day(month: bytes, day: bytes) -> bool:
    return 1 <= int(month) <= _MONTHS and 1 <= int(day) <= _DAYS
