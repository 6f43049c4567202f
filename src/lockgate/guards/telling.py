"""Tells a secret from other words, where only the name that it is assigned to says what it is."""

import re
from collections.abc import Iterable

from lockgate.guards.rules import is_varied

Span = tuple[int, int]

BEFORE = 64
"""Bytes before a value that are looked at."""
_NEAR = 40
"""Bytes before a value in which the name stands that it is assigned to."""
_LEAST = 8
"""Characters of a password."""
_MOST = 2000
_LONG = 12
"""Characters from which on what looks random is a secret under any telling name."""
_PHRASE = 12
"""Characters of a password without digits."""
_TURNS = 3
"""Times that a letter and a digit stand side by side in what looks random."""
_RUN = 2.6
"""Letters that stand together at most, on average, where the case is random."""
_MANY_LETTERS = 10
_SHORT_ENTROPY, _LONG_ENTROPY = 2.5, 3.0
_PHRASE_ENTROPY = 3.5

_NAME = re.compile(
    rb"(?i)(?:(pass(?:wd|word|wort|phrase|e)?|kennwort|pwd|psk|contrase\xc3\xb1a|senha)"
    rb"|key|secret|token|credential|bearer|auth|connection)([A-Za-z0-9_.-]*)"
)
_ABOUT_IT = re.compile(
    rb"(?i)(?:^|[_.-]|[a-z](?-i:(?=[A-Z])))"
    rb"(?:id|ids|names?|paths?|files?|dir|urls?|uris?|endpoint|types?|count|len|length|size|"
    rb"limit|expir\w*|ttl|at|dates?|times?|timeout|version|regex|pattern|hash|digest|algorithm|"
    rb"prefix|suffix|field|header|label|index|offset|usage|ref|arn|policy|format|class|error|"
    rb"hint|env|var|map|manager|provider|service|handler|store|kind|status|state|title|text|"
    rb"message|description|placeholder|strength|min|max|issuer|audience|scopes?|fingerprint)$"
)
"""Ends of a name that says something about a secret and does not hold it."""
_OTHER_WORD = re.compile(rb"[a-rt-z]|s[a-z]")
"""What follows in `tokenizer` or `secretary`, and not in `tokens`."""
_REFERENCE = re.compile(
    rb"[$@!%#:&*?][A-Za-z_][A-Za-z0-9_.:-]*%?$"
    rb"|[~.]{0,2}(?:/[A-Za-z0-9_.@-]*){2,}$"
    rb"|v?[0-9]{1,4}[.-][0-9]{1,4}[.-][0-9T]"
    rb"|(?i:sha[0-9]{1,3}|md5)[:-]"
    rb"|[A-Za-z_]+[0-9]{0,2}(?:[.:>-]{1,2}[A-Za-z_]+[0-9]{0,2})+$"
)
"""A variable, a path, a date or version, a digest, a dotted name."""
_ENDINGS = frozenset(
    b"json yaml yml txt pem key crt cer p12 jks py js ts go rs java md htm html toml cfg conf ini "
    b"env xml com org net io dev".split()
)
"""Of files and hosts."""
_TYPES = (b"Key", b"Token", b"Secret", b"Password", b"Credentials")
"""Ends of names of types."""
_QUOTES = (b'"', b"'")
_KINDS = bytes(
    0x61 if chr(c).isalpha() and c < 128 else 0x30 if 48 <= c <= 57 else 0x2E for c in range(256)
)
"""A letter becomes `a`, a digit `0`, and all else a dot."""
_LETTERS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")
_LETTER = re.compile(rb"[A-Za-z]")
_LOWER, _UPPER, _DIGIT = re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"), re.compile(rb"[0-9]")
_SIGN = re.compile(rb"[!@#$^?~%&*+=]")
_BARE_SIGN = re.compile(rb"[!@#$^?~]")
"""Signs that do not join what stands on both sides of them to an expression."""
_NAMED_SO = re.compile(rb"(?i)pass|secret|token|credential|string|value|default|hash|encrypt")
"""Words that a made-up value is made of."""


_PLACES = re.compile(
    rb"(?i)(?:(?:sshpass|login|mysql\w*|mariadb\w*)\b[^\n|;&]*\s-p\s?"
    rb"|-[a-z-]*(?:(?:pass|pwd|token|secret|bearer)[a-z-]{0,10}|-key)[ =]"
    rb"|ENV\s+[A-Z0-9_]*(?:PASS|PWD|TOKEN|SECRET|_KEY|CREDENTIAL)[A-Z0-9_]*\s+"
    rb"|login\s+\S+\s+password\s+"
    rb"|(?:pass|pwd|token|secret|key|credential)[a-z0-9_.-]*[\"']?\s*[,;]?\s+[\"']?value[\"']?\s*[:=]\s*"
    rb"|curl\b.*|-user[ =]?[\"']?\S+:|\s-u[ =]?[\"']?\S+:)\\?[\"']?$"
)
"""What stands before a secret in commands, .netrc files and lists of settings."""


def placed(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a value at a place of commands or files that is one for secrets."""
    value = data[start:end]
    if not _LEAST <= len(value) <= _MOST or not _LETTER.search(value):
        return ()
    if not _PLACES.search(data, max(0, start - BEFORE), start) or _is_elsewhere(value):
        return ()
    quoted = data[start - 1 : start] in _QUOTES
    return ((start, end),) if _is_secret(value, quoted=quoted, is_password=True) else ()


def password(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a value where nothing but a password stands."""
    value = data[start:end]
    return ((start, end),) if _is_secret(value, quoted=True, is_password=True) else ()


_LISTED = re.compile(rb",\s{0,3}[A-Za-z@$]?\\{0,3}[\"'`]$")
"""Names in a list stand beside one another, and are none's values."""


def varied(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take what is not made of words, whatever stands beside it."""
    return ((start, end),) if _turns(data[start:end]) >= _TURNS else ()


def quoted(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a value in quotation marks that looks like a secret."""
    return _taken(data, start, end, quoted=True)


def bare(data: bytes, start: int, end: int) -> Iterable[Span]:
    """Take a value that stands as it is, where code may stand as well."""
    return _taken(data, start, end, quoted=data[start - 1 : start] in _QUOTES)


def _taken(data: bytes, start: int, end: int, *, quoted: bool) -> Iterable[Span]:
    value = data[start:end]
    if not _LEAST <= len(value) <= _MOST or _is_elsewhere(value):
        return ()
    is_password = True
    names = _NAME.findall(data, max(0, start - _NEAR), start)
    if names:
        password, rest = names[-1]
        if _OTHER_WORD.match(rest) or _ABOUT_IT.search(rest):
            return ()
        is_password = bool(password) and not _LISTED.search(data, max(0, start - 9), start)
    return ((start, end),) if _is_secret(value, quoted=quoted, is_password=is_password) else ()


def _is_elsewhere(value: bytes) -> bool:
    """Say whether a value only tells where a secret is, or what it is like."""
    if value.rpartition(b".")[2].lower() in _ENDINGS or b"://" in value:
        return True
    return value.endswith(_TYPES) or _REFERENCE.match(value) is not None


def _is_secret(value: bytes, *, quoted: bool, is_password: bool) -> bool:
    is_long = len(value) >= 2 * _LEAST
    if not is_varied(value, _LONG_ENTROPY if is_long else _SHORT_ENTROPY):
        return False
    if not _LETTER.search(value):
        return False
    if _looks_random(value):
        return True
    if _NAMED_SO.search(value):
        return False
    sign = bool((_SIGN if quoted else _BARE_SIGN).search(value))
    if _DIGIT.search(value):
        mixed = bool(_LOWER.search(value) and _UPPER.search(value))
        return (sign or quoted or mixed) if is_password else (sign and quoted)
    is_phrase = quoted and len(value) >= _PHRASE and is_varied(value, _PHRASE_ENTROPY)
    return is_phrase and (sign or is_password)


def _turns(value: bytes) -> int:
    kinds = value.translate(_KINDS)
    return kinds.count(b"a0") + kinds.count(b"0a")


def _looks_random(value: bytes) -> bool:
    if len(value) < _LONG:
        return False
    if _turns(value) >= _TURNS:
        return True
    runs = _LETTERS.findall(value)
    letters = sum(map(len, runs))
    return letters >= _MANY_LETTERS and letters <= _RUN * len(runs)
