import json
import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.digest import Digest, canonical
from lockgate.errors import UsageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(VALUES)
def test_the_encoding_is_that_of_an_independent_implementation(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_written_as_ecmascript_does_and_comes_back(value: float) -> None:
    encoded = canonical(value)

    assert encoded == rfc8785.dumps(value)
    assert canonical(json.loads(encoded)) == encoded
    assert float(json.loads(encoded)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 8785 appendix B
        (0.0, b"0"),
        (-0.0, b"0"),
        (5e-324, b"5e-324"),
        (-5e-324, b"-5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (9007199254740992.0, b"9007199254740992"),
        (295147905179352830000.0, b"295147905179352830000"),
        (9.999999999999997e22, b"9.999999999999997e+22"),
        (1e23, b"1e+23"),
        (1.0000000000000001e23, b"1.0000000000000001e+23"),
        (999999999999999700000.0, b"999999999999999700000"),
        (1e21, b"1e+21"),
        (9.999999999999997e-7, b"9.999999999999997e-7"),
        (0.000001, b"0.000001"),
        (333333333.3333332, b"333333333.3333332"),
        (-0.0000033333333333333333, b"-0.0000033333333333333333"),
        (1424953923781206.25, b"1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_in_the_appendix_of_rfc_8785(value: float, expected: bytes) -> None:
    assert canonical(value) == expected


def test_keys_are_sorted_by_utf16_code_units() -> None:
    # RFC 8785 3.2.3: the emoji's first code unit, d83d, comes before fb33.
    value = {"\ufb33": 7, "\U0001f600": 6, "€": 5, "ö": 4, "\x80": 3, "1": 2, "\r": 1}

    assert list(json.loads(canonical(value)).values()) == [1, 2, 3, 4, 5, 6, 7]


def test_text_is_escaped_as_little_as_json_allows() -> None:
    assert canonical('€$\x0f\nA\'B"\\"/é\x7f') == '"€$\\u000f\\nA\'B\\"\\\\\\"/é\x7f"'.encode()


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 2**53 + 1, -(2**53) - 1, "\ud800"]
)
def test_what_json_cannot_carry_exactly_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  UnicodeEncodeError is one of them
        canonical({"x": [value]})


@pytest.mark.parametrize("value", [{1: 2}, {"x": object()}, {None: 1}])
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        canonical(value)


def test_tuples_are_arrays() -> None:
    assert canonical({"x": (1, (2,))}) == b'{"x":[1,[2]]}'


@given(st.dictionaries(TEXT, VALUES))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))

    assert Digest.of_json(turned) == Digest.of_json(value)


@given(VALUES, VALUES)
def test_values_that_json_tells_apart_have_different_digests(one: Any, other: Any) -> None:
    same = rfc8785.dumps(one) == rfc8785.dumps(other)

    assert (Digest.of_json(one) == Digest.of_json(other)) is same


def test_the_digest_is_plain_sha256_of_the_bytes() -> None:
    assert str(Digest.of(b"abc")) == (
        # FIPS 180-2, appendix B.1
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@given(HEX)
def test_a_digest_reads_what_it_writes(text: str) -> None:
    digest = Digest(text)

    assert Digest.parse(str(digest)) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "\u0660" * 64,
        "sha512:" + "0" * 64,
        " sha256:" + "0" * 64,
        "sha256:" + "0" * 64 + "\n",
    ],
)
def test_anything_else_is_not_a_digest(text: str) -> None:
    with pytest.raises(UsageError, match="is not a digest"):
        Digest.parse(text)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "F" * 64, "sha256:" + "0" * 64])
def test_a_digest_is_made_of_64_lower_case_hex_digits(text: str) -> None:
    with pytest.raises(ValueError, match="not a lower-case"):
        Digest(text)
    with pytest.raises(UsageError, match="is not a digest"):
        Digest.parse(text.removeprefix("sha256:"))


def test_a_long_text_that_is_no_digest_is_not_repeated_in_full() -> None:
    with pytest.raises(UsageError) as raised:
        Digest.parse("x" * 100_000)

    assert len(raised.value.message) < 200
