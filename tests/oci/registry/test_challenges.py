import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.oci.registry.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Basic", [("basic", {})]),
        ('Basic realm="a b"', [("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://t/x?a=1",service=reg,scope="repository:a/b:pull,push"',
            [
                (
                    "bearer",
                    {
                        "realm": "https://t/x?a=1",
                        "service": "reg",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        (
            'BEARER Realm = "x" , Basic realm="y"',
            [("bearer", {"realm": "x"}), ("basic", {"realm": "y"})],
        ),
        ('Bearer realm="a\\"b", realm="second"', [("bearer", {"realm": 'a"b'})]),
        ('Bearer realm="open', [("bearer", {"realm": "open"})]),
        ("", []),
        ('="x"', []),
    ],
)
def test_a_header_is_read_as_the_standard_says(
    header: str, found: list[tuple[str, dict[str, str]]]
) -> None:
    expected = [Challenge(scheme=scheme, parameters=values) for scheme, values in found]
    assert parse_challenges(header) == expected


@given(st.text())
def test_any_header_is_read_to_an_end(header: str) -> None:
    assert len(parse_challenges(header)) <= 8
