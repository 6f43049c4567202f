"""`regex`: a pattern in JavaScript's syntax, matched by RE2 in linear time."""

from functools import lru_cache
from typing import Any

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid, verdict
from lockgate.evals.assertions.js_pattern import NotLinear, to_re2
from lockgate.evals.assertions.output import text_output

MAX_PATTERN = 10_000
_MEMORY_BYTES = 64 << 20


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


@lru_cache(maxsize=1024)
def compiled(pattern: str, *, any_case: bool = False) -> Any:
    """Return the pattern, compiled. Raises ValueError, NotLinear among them."""
    import re2  # noqa: PLC0415  a suite without patterns never needs it

    translated = to_re2(pattern)
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not any_case
    options.max_mem = _MEMORY_BYTES
    try:
        return re2.compile(translated, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
