"""Check digits and shapes of numbers that name a person or an account."""

import re
from collections.abc import Iterable

_DIGIT = 0x30
_DOUBLED = bytes((2 * (c - 48) - 9 * (c > 52)) + 48 if 48 <= c <= 57 else c for c in range(256))
_IBAN_LENGTHS = {
    b"AD": 24, b"AE": 23, b"AL": 28, b"AT": 20, b"AZ": 28, b"BA": 20, b"BE": 16, b"BG": 22,
    b"BH": 22, b"BR": 29, b"BY": 28, b"CH": 21, b"CR": 22, b"CY": 28, b"CZ": 24, b"DE": 22,
    b"DK": 18, b"DO": 28, b"EE": 20, b"EG": 29, b"ES": 24, b"FI": 18, b"FO": 18, b"FR": 27,
    b"GB": 22, b"GE": 22, b"GI": 23, b"GL": 18, b"GR": 27, b"GT": 28, b"HR": 21, b"HU": 28,
    b"IE": 22, b"IL": 23, b"IQ": 23, b"IS": 26, b"IT": 27, b"JO": 30, b"KW": 30, b"KZ": 20,
    b"LB": 28, b"LC": 32, b"LI": 21, b"LT": 20, b"LU": 20, b"LV": 21, b"MC": 27, b"MD": 24,
    b"ME": 22, b"MK": 19, b"MR": 27, b"MT": 31, b"MU": 30, b"NL": 18, b"NO": 15, b"PK": 24,
    b"PL": 28, b"PS": 29, b"PT": 25, b"QA": 29, b"RO": 24, b"RS": 22, b"SA": 24, b"SC": 31,
    b"SE": 24, b"SI": 19, b"SK": 24, b"SM": 27, b"ST": 25, b"SV": 28, b"TL": 23, b"TN": 24,
    b"TR": 26, b"UA": 29, b"VA": 22, b"VG": 24, b"XK": 20,
}  # fmt: skip
"""Characters by country: the IBAN registry of SWIFT."""
_CALLING_CODES = frozenset(
    "1 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 "
    "64 65 66 7 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 "
    "227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 248 249 250 251 "
    "252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 297 298 299 350 351 352 "
    "353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 "
    "389 420 421 423 501 502 503 504 505 506 507 509 590 591 592 593 594 595 596 597 598 670 673 "
    "852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 "
    "992 993 994 995 996 998".split()
)
"""ITU-T E.164 country codes."""
_LETTERS = b"TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH = b"0123456789ABCDEFHJKLMNPRSTUVWXY"
_ODD = dict(
    zip(
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        b"\1\0\5\7\x09\x0d\x0f\x11\x13\x15\1\0\5\7\x09\x0d\x0f\x11\x13\x15"
        b"\2\4\x12\x14\x0b\3\6\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17",
        strict=True,
    )
)
"""Values of the characters at odd places of a codice fiscale (decree of 23 December 1976)."""
_D5 = (
    b"\0\1\2\3\4\5\6\7\x08\x09", b"\1\2\3\4\0\6\7\x08\x09\5", b"\2\3\4\0\1\7\x08\x09\5\6",
    b"\3\4\0\1\2\x08\x09\5\6\7", b"\4\0\1\2\3\x09\5\6\7\x08", b"\5\x09\x08\7\6\0\4\3\2\1",
    b"\6\5\x09\x08\7\1\0\4\3\2", b"\7\6\5\x09\x08\2\1\0\4\3", b"\x08\7\6\5\x09\3\2\1\0\4",
    b"\x09\x08\7\6\5\4\3\2\1\0",
)  # fmt: skip
"""Multiplication in the dihedral group of order ten (Verhoeff 1969)."""
_TURN = b"\1\5\7\6\2\x08\3\0\x09\4"
_MONTHS = 12
_DAYS = 31


def luhn(digits: bytes) -> bool:
    """Say whether the last digit is right by ISO/IEC 7812-1, annex B."""
    plain, doubled = digits[::-2], digits[-2::-2].translate(_DOUBLED)
    return (sum(plain) + sum(doubled) - _DIGIT * len(digits)) % 10 == 0


def card(digits: bytes) -> bool:
    """Say whether digits are a payment card's: issuer, length and Luhn."""
    size = len(digits)
    if not 13 <= size <= 19:
        return False
    four = int(digits[:4])
    two = four // 100
    known = (
        (digits[0] == 0x34 and size in (13, 16, 19))
        or (size == 16 and (51 <= two <= 55 or 2200 <= four <= 2204 or 2221 <= four <= 2720))
        or (size == 15 and two in (34, 37))
        or (size == 14 and (two in (36, 38, 39) or 3000 <= four <= 3059))
        or (size in (16, 19) and (four == 6011 or two == 65 or 6440 <= four <= 6499))
        or (size in (16, 19) and (3528 <= four <= 3589 or two == 62))
        or (size in (16, 18, 19) and two in (50, 56, 57, 58, 63, 67))
    )
    return known and len(set(digits)) > 1 and luhn(digits)


def iban(value: bytes) -> bool:
    """Say whether an account number has its country's length and check digits (ISO 13616)."""
    plain = value.replace(b" ", b"").replace(b"-", b"")
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    turned = plain[4:] + plain[:4]
    number = "".join(str(int(chr(c), 36)) for c in turned)
    return int(number) % 97 == 1


def ssn(digits: bytes) -> bool:
    """Say whether a US social security number can have been issued (SSA, since 2011)."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in (b"000", b"666") or area[:1] == b"9" or group == b"00" or serial == b"0000":
        return False
    return digits not in (b"123456789", b"078051120", b"219099999") and len(set(digits)) > 1


def e164(digits: bytes) -> bool:
    """Say whether digits begin with a country code and have the length of a number (ITU E.164)."""
    text = digits.decode()
    codes = _CALLING_CODES
    known = text[:2] in codes or text[:1] in codes or text[:3] in codes
    if text[:1] == "1" and (len(text) != 11 or text[1] in "01" or text[4] in "01"):
        return False
    return known and 9 <= len(text) <= 15 and len(set(text[2:])) > 2


def spanish_id(value: bytes) -> bool:
    """Say whether the letter of a DNI or NIE is right."""
    plain = value.replace(b"-", b"").replace(b".", b"")
    number = plain[:-1].translate(bytes.maketrans(b"XYZ", b"012"))
    return _LETTERS[int(number) % 23] == plain[-1] and len(set(number)) > 1


def french_id(value: bytes) -> bool:
    """Say whether the key of a social security number (NIR) is right; Corsica is 2A and 2B."""
    digits = value.replace(b" ", b"").replace(b"2A", b"19").replace(b"2B", b"18")
    return int(digits[3:5]) in (*range(1, 13), *range(20, 43), *range(50, 100)) and (
        97 - int(digits[:13]) % 97 == int(digits[13:])
    )


def italian_id(value: bytes) -> bool:
    """Say whether the last letter of a codice fiscale is right."""
    total = sum(_ODD[c] for c in value[:15:2])
    total += sum(int(chr(c), 36) - (10 if c >= 65 else 0) for c in value[1:15:2])
    return total % 26 + 65 == value[15]


def dutch_id(digits: bytes) -> bool:
    """Say whether a burgerservicenummer passes the eleven test."""
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and len(set(digits)) > 1


def polish_id(digits: bytes) -> bool:
    """Say whether a PESEL has a date and its check digit."""
    month = int(digits[2:4]) % 20
    total = weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))
    return 1 <= month <= _MONTHS and 1 <= int(digits[4:6]) <= _DAYS and total % 10 == 0


def german_tax_id(digits: bytes) -> bool:
    """Say whether a Steueridentifikationsnummer has its check digit (ISO 7064, MOD 11,10)."""
    product = 10
    for digit in digits[:-1]:
        product = (((digit - _DIGIT + product) % 10 or 10) * 2) % 11
    return digits[:1] != b"0" and (11 - product) % 10 == digits[-1] - _DIGIT


def british_id(value: bytes) -> bool:
    """Say whether a National Insurance number has a prefix that is given out."""
    return value[:2] not in (b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ")


def nhs_number(digits: bytes) -> bool:
    """Say whether an NHS number has its check digit."""
    return weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0 and len(set(digits)) > 1


def brazilian_id(digits: bytes) -> bool:
    """Say whether a CPF has its two check digits."""
    if len(set(digits)) == 1:
        return False
    first = weighted(digits, range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(digits, range(11, 1, -1)) * 10 % 11 % 10
    return (first, second) == (digits[9] - _DIGIT, digits[10] - _DIGIT)


def indian_id(digits: bytes) -> bool:
    """Say whether an Aadhaar number has its check digit (Verhoeff 1969)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        turned = digit - _DIGIT
        for _ in range(place % 8):
            turned = _TURN[turned]
        check = _D5[check][turned]
    return check == 0


def swedish_id(digits: bytes) -> bool:
    """Say whether a personnummer has a date and its check digit."""
    ten = digits[-10:]
    day = int(ten[4:6])
    if not (1 <= int(ten[2:4]) <= _MONTHS and (1 <= day <= _DAYS or 61 <= day <= 91)):
        return False
    return luhn(ten)


def finnish_id(value: bytes) -> bool:
    """Say whether a henkilötunnus has a date and its check character."""
    if not (1 <= int(value[:2]) <= _DAYS and 1 <= int(value[2:4]) <= _MONTHS):
        return False
    return _FINNISH[int(value[:6] + value[7:10]) % 31] == value[10]


def birth_date(value: bytes) -> bool:
    """Say whether the numbers of a date can be a day, a month and a year."""
    numbers = [int(number) for number in re.findall(rb"[0-9]+", value)]
    if not any(1 <= number <= _DAYS for number in numbers):
        return False
    return all(
        number <= _DAYS or 32 <= number <= 99 or 1900 <= number <= 2099 for number in numbers
    )


def weighted(digits: bytes, weights: Iterable[int]) -> int:
    """Return the sum of the digits, each times its weight, as far as there are weights."""
    return sum((digit - _DIGIT) * weight for digit, weight in zip(digits, weights, strict=False))
