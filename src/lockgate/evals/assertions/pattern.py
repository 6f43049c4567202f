"""`regex`: a pattern in JavaScript's syntax, matched by RE2 in linear time."""

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.javascript import text_output
from lockgate.evals.js_pattern import NotLinear, compiled

MAX_PATTERN = 10_000


def regex(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Search for a pattern. One that does not parse fails, inverse or not, as in promptfoo."""
    pattern = assertion.value
    if not isinstance(pattern, str) or not pattern:
        raise invalid(assertion, "must have a pattern as its value")
    if len(pattern) > MAX_PATTERN:
        raise invalid(assertion, f"has a pattern longer than {MAX_PATTERN} characters")
    try:
        found = compiled(pattern)
    except NotLinear as error:
        raise invalid(
            assertion, f"needs a backtracking engine: {error} cannot be matched in linear time"
        ) from None
    except ValueError as error:
        return Graded(False, 0.0, f"invalid pattern: {error}")
    return verdict(
        (found.search(text_output(output)) is not None) is not assertion.inverse,
        f'expected output to {"not " if assertion.inverse else ""}match "{pattern}"',
    )
