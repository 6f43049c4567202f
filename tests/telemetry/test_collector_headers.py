import pytest

from lockgate.errors import InvalidConfig
from lockgate.telemetry.collector_headers import read_headers


def test_headers_are_read_as_opentelemetry_writes_them() -> None:
    found = read_headers("Authorization=Bearer%20a%2Cb%3D, x-team = shop", "H")

    assert found == {"authorization": "Bearer a,b=", "x-team": "shop"}


WRONG = (
    "",
    "s3cret",
    "=s3cret",
    "a=",
    "a b=s3cret",
    "a=s3cret%0d%0aX: y",
    "a=s3cret\u00e9",
    "host=s3cret",
    "x=1,,y=s3cret",
)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_header_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        read_headers(text, "TRACE_HEADERS")

    assert "`TRACE_HEADERS`" in caught.value.message
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint}"
