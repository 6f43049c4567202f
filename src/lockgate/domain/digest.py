"""Content addresses, and the one encoding that they are taken over."""

import hashlib
import json.encoder
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from lockgate.errors import UsageError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

_HEX = frozenset("0123456789abcdef")
_HEX_LENGTH = 64
_SAFE_INTEGER = 2**53
_FIXED_BELOW = 21  # ECMA-262 6.1.6.1.20: exponents of -7 < n <= 21 are written without `e`
_FIXED_ABOVE = -6


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The SHA-256 address of some bytes, written `sha256:<64 hex digits>`.

    Two artifacts with equal digests are the same artifact. `Digest.parse(str(d)) == d`.
    """

    hex: str

    def __post_init__(self) -> None:
        if len(self.hex) != _HEX_LENGTH or not _HEX.issuperset(self.hex):
            raise ValueError(f"not a lower-case SHA-256 hex digest: {self.hex!r}")

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the address of `data`."""
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_json(cls, value: Json) -> Self:
        """Return the address of the canonical encoding of `value`."""
        return cls.of(canonical(value))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<hex>`.

        Raises:
            UsageError: `text` has another algorithm or is malformed.

        """
        algorithm, _, rest = text.partition(":")
        if algorithm != "sha256" or len(rest) != _HEX_LENGTH or not _HEX.issuperset(rest):
            raise UsageError(
                f"`{text[:80]}` is not a digest", hint="a digest is `sha256:` and 64 hex digits"
            )
        return cls(rest)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"


def canonical(value: Json) -> bytes:
    """Encode `value` as RFC 8785 (JSON Canonicalization Scheme).

    Raises:
        ValueError: a number is not finite or not exact in a double, a string holds a lone
            surrogate, or a key is not a string. Callers build these values; they are not input.

    """
    if isinstance(value, str):
        return json.encoder.encode_basestring(value).encode("utf-8")
    parts: list[str] = []
    _encode(value, parts)
    return "".join(parts).encode("utf-8")


def _encode(value: Json, out: list[str]) -> None:
    if isinstance(value, str):
        out.append(json.encoder.encode_basestring(value))
    elif value is None or isinstance(value, bool):
        out.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int):
        if abs(value) > _SAFE_INTEGER and not _is_written_double(value):
            raise ValueError(f"{value} has no exact double: write it as a string")
        out.append(str(int(value)))
    elif isinstance(value, float):
        out.append(_number(value))
    elif isinstance(value, Mapping):
        separator = "{"
        for key in _sorted(value):
            out.append(separator)
            out.append(json.encoder.encode_basestring(key))
            out.append(":")
            _encode(value[key], out)
            separator = ","
        out.append("}" if value else "{}")
    else:
        separator = "["
        for item in value:
            out.append(separator)
            _encode(item, out)
            separator = ","
        out.append("]" if value else "[]")


def _is_written_double(value: int) -> bool:
    """Say whether `value` is how a large double is written: parsing a document gives such ones."""
    return abs(value) < 10**_FIXED_BELOW and _number(float(value)) == str(value)


def _sorted(keys: Mapping[str, Json]) -> Sequence[str]:
    # RFC 8785 3.2.3 sorts by UTF-16 code units; for ASCII keys code points give the same order.
    if "".join(keys).isascii():
        return sorted(keys)
    return sorted(keys, key=_utf16)


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")


def _number(value: float) -> str:
    """Write a double as ECMAScript's Number::toString does (RFC 8785 3.2.2.3)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if value == 0:
        return "0"
    sign, digits, exponent = _shortest(value)
    point = exponent + len(digits)
    if len(digits) <= point <= _FIXED_BELOW:
        text = digits + "0" * (point - len(digits))
    elif 0 < point <= _FIXED_BELOW:
        text = f"{digits[:point]}.{digits[point:]}"
    elif _FIXED_ABOVE < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{fraction}e{point - 1:+d}"
    return sign + text


def _shortest(value: float) -> tuple[str, str, int]:
    """Return sign, digits without trailing zeros, and the power of ten of the last digit."""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(power or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return ("-" if value < 0 else ""), stripped, exponent + len(digits) - len(stripped)
