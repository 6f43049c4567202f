import contextlib
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.domain.gate.licence import MAX_CHARACTERS, MAX_DEPTH, is_allowed, parse

ALLOWED = ("Apache-2.0", "MIT", "GPL-2.0-only WITH Classpath-exception-2.0", "LicenseRef-Acme")


@pytest.mark.parametrize(
    "text",
    [
        "Apache-2.0",
        "apache-2.0",
        "Apache-2.0+",
        "MIT OR GPL-3.0-only",
        "GPL-3.0-only or mit",
        "MIT AND Apache-2.0",
        "(MIT AND Apache-2.0) OR Proprietary",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH Some-exception",
        "LicenseRef-Acme",
        "GPL-3.0-only AND MIT OR Apache-2.0",
    ],
)
def test_an_expression_that_the_list_permits_is_allowed(text: str) -> None:
    assert is_allowed(parse(text), ALLOWED)


@pytest.mark.parametrize(
    "text",
    [
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND (GPL-3.0-only OR AGPL-3.0-only)",
        "GPL-2.0-only",
        "GPL-2.0-only WITH Other-exception",
        "LicenseRef-Other",
        "DocumentRef-x:LicenseRef-Acme",
    ],
)
def test_an_expression_that_the_list_does_not_permit_is_not_allowed(text: str) -> None:
    assert not is_allowed(parse(text), ALLOWED)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "a licence is missing at the end"),
        ("MIT OR", "a licence is missing at the end"),
        ("OR MIT", "a licence is missing before `OR`"),
        ("MIT Apache-2.0", "`Apache-2.0` follows a whole expression"),
        ("(MIT", "a `(` is not closed"),
        ("MIT)", "`)` follows a whole expression"),
        ("MIT WITH", "an exception is missing"),
        ("MIT/Apache-2.0", "`/` cannot stand"),
        ("MIT\x00", "cannot stand"),
        ("(" * (MAX_DEPTH + 1) + "MIT", "nested deeper"),
        ("M" * (MAX_CHARACTERS + 1), "characters, at most"),
        ("1.0+2", "a licence is missing"),
    ],
)
def test_what_is_no_expression_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(text)
    assert reason in str(caught.value)


@given(st.text(alphabet="()MIT OR AND WITH+-.", max_size=60))
def test_any_text_is_an_expression_or_a_value_error(text: str) -> None:
    try:
        is_allowed(parse(text), ALLOWED)
    except ValueError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize("part", ["(", "M", "MIT OR ", "M+", "+", " ", "a:"])
def test_the_longest_texts_take_milliseconds(part: str) -> None:
    text = (part * MAX_CHARACTERS)[:MAX_CHARACTERS]
    started = process_time()
    with contextlib.suppress(ValueError):
        parse(text)
    assert process_time() - started < 0.1
