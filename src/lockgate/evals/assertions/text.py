"""`equals`, `contains` and their kin, `starts-with`, `regex`."""

from collections.abc import Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.assertions.comma_list import comma_list
from lockgate.evals.javascript import parse, same, stringify, text_of, text_output


def equals(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare as text, or as JSON where the value is an object or a list."""
    text = text_output(output)
    value = assertion.value
    if isinstance(value, str) or not (value is None or isinstance(value, dict | list)):
        wanted = text_of(value)
        equal = wanted == text
    else:
        wanted = stringify(value)
        if value is None and not assertion.has_value:
            wanted, equal = "undefined", text == "undefined"
        else:
            try:
                equal = same(value, parse(text))
            except ValueError:
                equal = False
    return verdict(
        equal is not assertion.inverse,
        f'expected output "{text}" to {_not(assertion)}equal "{wanted}"',
    )


def contains(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for one text or number."""
    wanted = _needle(assertion)
    return _contained(assertion, wanted in text_output(output), wanted)


def icontains(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for one text or number, upper and lower case alike."""
    wanted = _needle(assertion)
    return _contained(assertion, wanted.lower() in text_output(output).lower(), wanted)


def contains_any(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for at least one of several texts."""
    wanted = _needles(assertion)
    text = text_output(output)
    return _any(assertion, any(item in text for item in wanted), wanted)


def icontains_any(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for at least one of several texts, upper and lower case alike."""
    wanted = _needles(assertion)
    text = text_output(output).lower()
    return _any(assertion, any(item.lower() in text for item in wanted), wanted)


def contains_all(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for each of several texts."""
    wanted = _needles(assertion)
    text = text_output(output)
    return _all(assertion, [item for item in wanted if item not in text], wanted)


def icontains_all(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Look for each of several texts, upper and lower case alike."""
    wanted = _needles(assertion)
    text = text_output(output).lower()
    return _all(assertion, [item for item in wanted if item.lower() not in text], wanted)


def starts_with(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Compare the beginning."""
    wanted = assertion.value
    if not isinstance(wanted, str) or not wanted:
        raise invalid(assertion, "must have a text as its value")
    return verdict(
        text_output(output).startswith(wanted) is not assertion.inverse,
        f'expected output to {_not(assertion)}start with "{wanted}"',
    )


def _needle(assertion: Assertion) -> str:
    value = assertion.value
    number = isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124  NaN
    if not number and not (isinstance(value, str) and value):
        raise invalid(assertion, "must have a text or a number as its value")
    return text_of(value)


def _needles(assertion: Assertion) -> list[str]:
    value = assertion.value
    if isinstance(value, str) and value:
        try:
            return comma_list(value)
        except ValueError as error:
            raise invalid(assertion, f"has a list that does not parse: {error}") from None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ["null" if item is None else text_of(item) for item in value]
    raise invalid(assertion, "must have a list, or texts with commas between, as its value")


def _contained(assertion: Assertion, found: bool, wanted: str) -> Graded:  # noqa: FBT001
    return verdict(
        found is not assertion.inverse, f'expected output to {_not(assertion)}contain "{wanted}"'
    )


def _any(assertion: Assertion, found: bool, wanted: Sequence[str]) -> Graded:  # noqa: FBT001
    return verdict(
        found is not assertion.inverse,
        f'expected output to {_not(assertion)}contain one of "{", ".join(wanted)}"',
    )


def _all(assertion: Assertion, missing: Sequence[str], wanted: Sequence[str]) -> Graded:
    return verdict(
        (not missing) is not assertion.inverse,
        f"expected output to {_not(assertion)}contain all of [{', '.join(wanted)}], "
        f"missing [{', '.join(missing)}]",
    )


def _not(assertion: Assertion) -> str:
    return "not " if assertion.inverse else ""
