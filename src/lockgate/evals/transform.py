"""`transform`: the one-line expressions that say where in an output the answer is.

promptfoo runs JavaScript there. What suites write most is a path, so a path is what is read:
`output` or `JSON.parse(output)`, then members, indexes, `trim()`, `toLowerCase()`, `toUpperCase()`.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from lockgate.domain.digest import Json
from lockgate.errors import InvalidInput
from lockgate.evals.javascript import parse, text_output, trim

_START = re.compile(r"\s*(?:return\s+)?(output|JSON\.parse\(\s*output\s*\))")
_STEP = re.compile(
    r"\??\.(trim|toLowerCase|toUpperCase)\(\)"
    r"|\??\.([A-Za-z_$][\w$]*)(?!\()"
    r"|(?:\?\.)?\[([0-9]{1,9})\]"
    r"|(?:\?\.)?\[(?:\"([^\"\\]*)\"|'([^'\\]*)')\]"
)
_END = re.compile(r"\s*;?\s*\Z")


def transform_problem(code: Json) -> str:
    """Say why an expression is not one of ours; nothing if it is."""
    if isinstance(code, str) and _steps(code) is not None:
        return ""
    return (
        f"`{str(code)[:80]}` is code: write a path such as `JSON.parse(output).answer`, "
        "or do it in the task"
    )


def transformed(code: str, output: Json) -> Json:
    """Return what the expression makes of an output.

    Raises:
        InvalidInput: the output has no such member, or is not JSON.

    """
    steps = _steps(code)
    assert steps is not None, "the loader refuses other expressions"
    value: Json = output
    for kind, name in steps:
        try:
            value = _step(kind, name, value)
        except (LookupError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"the transform `{code[:80]}` does not fit the output: {error}"
            ) from None
    if value is None:
        raise InvalidInput(f"the transform `{code[:80]}` gives nothing")
    return value


@lru_cache(maxsize=256)
def _steps(code: str) -> tuple[tuple[str, str], ...] | None:
    start = _START.match(code)
    if start is None:
        return None
    found: list[tuple[str, str]] = [] if start[1] == "output" else [("parse", "")]
    at = start.end()
    while step := _STEP.match(code, at):
        call, member, index, double, single = step.groups()
        if call:
            found.append(("call", call))
        elif index is not None:
            found.append(("index", index))
        else:
            found.append(("member", next(n for n in (member, double, single) if n is not None)))
        at = step.end()
    return tuple(found) if _END.match(code, at) else None


def _step(kind: str, name: str, value: Json) -> Json:
    if kind == "parse":
        return parse(text_output(value))
    if kind == "index":
        if not isinstance(value, Sequence):
            raise TypeError(f"no list to take item {name} of")
        return value[int(name)]
    if kind == "member":
        if not isinstance(value, Mapping):
            raise TypeError(f"no object to take `{name}` of")
        return value[name]
    if not isinstance(value, str):
        raise TypeError(f"no text for `{name}`")
    return {"trim": trim, "toLowerCase": str.lower, "toUpperCase": str.upper}[name](value)
