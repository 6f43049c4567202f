"""Addresses that lead to a person: of machines, of mail, and on the map."""

import re

FILE_ENDINGS = frozenset(
    b"png jpg jpeg gif svg webp ico css scss less js mjs cjs ts tsx jsx json map html htm py go rs "
    b"java rb php md txt yml yaml toml lock sh whl gz zip tar tgz patch diff".split()
)
"""`logo@2x.png` is no mail address."""

_NAMES = (b"example.com", b"example.org", b"example.net", b"localhost")
_BELOW = (b".example.com", b".example.org", b".example.net", b".example", b".test", b".invalid")
"""RFC 2606 and 6761."""
_ROBOTS = (b"noreply", b"no-reply", b"donotreply", b"do-not-reply")
_SPECIAL = frozenset(
    str(first).encode() for first in (0, 10, 100, 127, 169, 172, 192, 198, 203, *range(224, 256))
)
"""First octets under which some addresses lead to no one."""
_PRIVATE = {
    100: (64, 127),
    169: (254, 254),
    172: (16, 31),
    192: (168, 168),
    198: (18, 19),
}
"""First octet, and the range of the second: RFC 6598, 3927, 1918, 1918, 2544."""
_NONE = (1, 0)
_WHOLE = (0, 10, 127)
_DOCUMENTATION = (b"192.0.2.", b"198.51.100.", b"203.0.113.", b"192.0.0.")
_MULTICAST = 224
_SMALL, _SHORT = 32, 11
_GROUPS = 8
_PROTOCOLS = 0x200
_NUMBER = re.compile(rb"[0-9]{1,3}\.[0-9]+")
_MOST_LATITUDE = 90
_MOST_LONGITUDE = 180


def public_ipv4(value: bytes) -> bool:
    """Say whether a dotted address is one that is routed on the internet (IANA, RFC 6890)."""
    if value.endswith(b".0"):
        return False
    octet, _, rest = value.partition(b".")
    # Numbers of sections and versions have four small parts; object ids begin with these two.
    if value.startswith((b"1.3.", b"2.5.")) or (
        len(value) <= _SHORT and all(int(part) < _SMALL for part in value.split(b"."))
    ):
        return False
    if octet not in _SPECIAL:
        return True
    first, second = int(octet), int(rest.partition(b".")[0])
    if first >= _MULTICAST or first in _WHOLE:
        return False
    low, high = _PRIVATE.get(first, _NONE)
    return not low <= second <= high and not value.startswith(_DOCUMENTATION)


def of_a_person(name: bytes, host: bytes) -> bool:
    """Say whether a mail address can be someone's: not of a reserved domain, nor of a robot."""
    host, name = host.lower(), name.lower()
    if host in _NAMES or host.endswith(_BELOW):
        return False
    return not name.startswith(_ROBOTS) and not host.startswith(b"users.noreply.")


def public_ipv6(value: bytes) -> bool:
    """Say whether an address is global unicast, 2000::/3, and not for documentation (RFC 4291)."""
    if value.count(b"::") > 1 or b":::" in value:
        return False
    if value[:9].lower() == b"2001:db8:" or value[:10].lower() == b"2001:0db8:":
        return False
    groups = value.split(b":")
    # 2001::/23 is for protocols, 2002::/16 for addresses of another kind (IANA).
    if groups[0] == b"2002" or (groups[0] == b"2001" and int(groups[1] or b"0", 16) < _PROTOCOLS):
        return False
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
