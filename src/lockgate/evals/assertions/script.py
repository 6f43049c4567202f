"""`javascript`: one-line expressions, evaluated by our own reader; no code is run."""

import math
from collections.abc import Mapping
from typing import Any

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion, Context, Graded, invalid
from lockgate.evals.script.evaluate import value_of
from lockgate.evals.script.values import UNDEFINED

_EPSILON = 1e-12


def javascript(assertion: Assertion, output: Json, context: Context) -> Graded:
    """Grade what the expression gives: true or false, a score, or `{pass, score, reason}`."""
    code = str(assertion.value)
    names: dict[str, Any] = {
        "output": output,
        "context": {
            "vars": dict(context.variables),
            "prompt": context.prompt,
            "test": {"vars": dict(context.variables)},
            "config": assertion.options.get("config"),
        },
    }
    return graded(assertion, value_of(code, names), code)


def graded(assertion: Assertion, found: Any, code: str) -> Graded:
    """Return the grade that a value stands for, as promptfoo reads it."""
    reason = ""
    if isinstance(found, bool):
        passed, score = found, float(found)
    elif isinstance(found, int | float):
        if math.isnan(found):
            raise invalid(assertion, "gave NaN as its score")
        score = float(found)
        limit = assertion.threshold
        passed = score > 0 if limit is None else score >= limit - _EPSILON
    elif isinstance(found, Mapping) and isinstance(found.get("pass"), bool):
        passed = found["pass"]
        given = found.get("score", float(passed))
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise invalid(assertion, f"gave the score {given!r:.40}")
        score, reason = float(given), str(found.get("reason") or "")
        if assertion.threshold is not None:
            passed = passed and score >= assertion.threshold - _EPSILON
    else:
        kind = "nothing" if found is None or found is UNDEFINED else type(found).__name__
        raise invalid(assertion, f"gave {kind}, neither true, false, a score nor a grade")
    if assertion.inverse:
        passed = not passed
        score = 1 - score if isinstance(found, bool) else score
    text = reason or f"`{code[:200]}` {'holds' if passed else 'does not hold'}"
    return Graded(passed, score, text)
