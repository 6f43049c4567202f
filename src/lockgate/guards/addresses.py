"""Addresses that lead to a person: of machines, of mail, and on the map."""

import re

FILE_ENDINGS = frozenset(
    b"png jpg jpeg gif svg webp ico css scss less js mjs cjs ts tsx jsx json map html htm py go rs "
    b"java rb php md txt yml yaml toml lock sh whl gz zip tar tgz".split()
)
"""`logo@2x.png` is no mail address."""

_PRIVATE = {
    0: (0, 255),
    10: (0, 255),
    127: (0, 255),
    100: (64, 127),
    169: (254, 254),
    172: (16, 31),
    192: (168, 168),
    198: (18, 19),
}
"""First octet, and the range of the second: RFC 1918, 1122, 6598, 3927, 2544."""
_NONE = (1, 0)
_DOCUMENTATION = (b"192.0.2.", b"198.51.100.", b"203.0.113.", b"192.0.0.")
_MULTICAST = 224
_GROUPS = 8
_NUMBER = re.compile(rb"[0-9]{1,3}\.[0-9]+")
_MOST_LATITUDE = 90
_MOST_LONGITUDE = 180


def public_ipv4(value: bytes) -> bool:
    """Say whether a dotted address is one that is routed on the internet (IANA, RFC 6890)."""
    parts = value.split(b".")
    if any(len(part) > 1 and part[:1] == b"0" for part in parts):
        return False
    first, second, third, fourth = map(int, parts)
    if first >= _MULTICAST or not 0 < fourth <= 255 or second > 255 or third > 255:
        return False
    low, high = _PRIVATE.get(first, _NONE)
    return not low <= second <= high and not value.startswith(_DOCUMENTATION)


def public_ipv6(value: bytes) -> bool:
    """Say whether an address is global unicast, 2000::/3, and not for documentation (RFC 4291)."""
    if value.count(b"::") > 1 or b":::" in value:
        return False
    if value[:9].lower() == b"2001:db8:" or value[:10].lower() == b"2001:0db8:":
        return False
    groups = value.split(b":")
    if not groups[-1] and not value.endswith(b"::"):
        return False
    if b"::" not in value:
        return len(groups) == _GROUPS
    return len(groups) <= _GROUPS + 1


def coordinates(value: bytes) -> bool:
    """Say whether two decimals can be a latitude and a longitude in degrees."""
    numbers = [float(number) for number in _NUMBER.findall(value)[:2]]
    if len(numbers) != 2:
        return True
    return numbers[0] <= _MOST_LATITUDE and numbers[1] <= _MOST_LONGITUDE
