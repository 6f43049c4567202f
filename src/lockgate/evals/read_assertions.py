"""`assert` entries, from a suite or from a cell of a CSV file."""

import re
from collections.abc import Mapping, Sequence

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion
from lockgate.evals.assertions import registry
from lockgate.evals.assertions.comma_list import comma_list
from lockgate.evals.fields import Problems, number, text
from lockgate.evals.javascript import trim
from lockgate.evals.script.evaluate import problem as problem_of
from lockgate.evals.template import is_template
from lockgate.evals.transform import transform_problem

_KNOWN = frozenset({"type", "value", "threshold", "weight", "metric", "assert"})
SCRIPT = "javascript"
LABEL = "x-label"
"""What a person says of an assertion that a judge decides: `pass` or `fail`."""
_LISTS = frozenset({"contains-all", "contains-any", "icontains-all", "icontains-any"})
_THRESHOLDS = frozenset(
    {"cost", "latency", "levenshtein", "perplexity", "perplexity-score", "rouge-n", "similar"}
    | {"starts-with"}
)
_SIMILAR, _OTHER = 0.8, 0.75
"""Thresholds of a cell without one (promptfoo's, and not those of the types themselves)."""
_CODE = {
    **dict.fromkeys(("javascript:", "fn:", "eval:"), "javascript"),
    "python:": "python",
    "file:": "python",
}
_CELL = re.compile(
    r"(not-)?([a-z0-9:-]{1,60}?)(?:\(([0-9]+(?:\.[0-9]+)?)\))?(?::(.*))?\Z", re.DOTALL
)


def read_assertions(found: Sequence[Json], problems: Problems) -> tuple[Assertion, ...]:
    """Return the assertions of a list."""
    return tuple(
        read for item in found if (read := _assertion(item, problems, nested=False)) is not None
    )


def read_cell(cell: str, problems: Problems) -> Assertion | None:
    """Return the assertion of an `__expected` cell: `contains-any:a,b`, or what must be equal."""
    line = problems.base
    if cell.startswith("grade:"):
        cell = f"llm-rubric:{cell.removeprefix('grade:')}"
    head, _, rest = cell.partition(":")
    if f"{head}:" in _CODE and (head != "file" or rest.startswith("//")):
        return _assertion(
            {"type": _CODE[f"{head}:"], "value": cell if head == "file" else rest},
            problems,
            nested=False,
        )
    found = _CELL.match(cell)
    name = found[2] if found else ""
    if found is None or (name not in registry.names() and registry.unsupported(name) is None):
        return _made({"type": "equals", "value": cell}, "equals", line=line)
    if registry.unsupported(name):
        _refuse({}, name, problems)
        return None
    value: Json = found[4] if name in {"is-json", "contains-json"} else trim(found[4] or "") or None
    given: dict[str, Json] = {"type": f"{found[1] or ''}{name}"}
    if name in _LISTS and found[4]:
        try:
            value = list(comma_list(found[4]))
        except ValueError as error:
            problems.add(None, f"`{cell}`: {error}")
            return None
    if value is not None:
        given["value"] = value
    threshold = float(found[3]) if found[3] else None
    if name in _THRESHOLDS and threshold is None:
        threshold = _SIMILAR if name == "similar" else _OTHER
    return _made(given, name, inverse=bool(found[1]), line=line, threshold=threshold)


def _assertion(item: Json, problems: Problems, *, nested: bool) -> Assertion | None:
    if not isinstance(item, Mapping):
        problems.add(item, "an assertion is not an object")
        return None
    named = text(item, "type", problems)
    if not named:
        problems.add(item, "an assertion has no `type`")
        return None
    inverse = named.startswith(registry.NEGATION)
    name = named.removeprefix(registry.NEGATION)
    if name not in registry.names() or (inverse and name == registry.ASSERT_SET):
        _refuse(item, named, problems)
        return None
    code = item.get("transform")
    if code is not None and (problem := transform_problem(code)):
        problems.add(item, f"`transform`: {problem}")
    if item.get(LABEL) not in (None, "pass", "fail"):
        problems.add(item, f"`{LABEL}` is neither `pass` nor `fail`: what a person says of it")
    if name == SCRIPT:
        _check_script(item, problems)
    parts: tuple[Assertion, ...] = ()
    if name in registry.HOLDING:
        if nested:
            problems.add(item, f"an `assert-set` holds another `{name}`")
            return None
        inner = item.get("assert")
        if not isinstance(inner, Sequence) or isinstance(inner, str):
            problems.add(item, f"an `{name}` has no list `assert`")
            return None
        read = [_assertion(part, problems, nested=True) for part in inner]
        parts = tuple(part for part in read if part is not None)
    threshold = number(item, "threshold", problems)
    weight = number(item, "weight", problems)
    return _made(
        item,
        name,
        inverse=inverse,
        threshold=threshold,
        weight=1.0 if weight is None else weight,
        metric=text(item, "metric", problems),
        parts=parts,
        line=problems.line(item),
    )


def _check_script(item: Mapping[str, Json], problems: Problems) -> None:
    """Refuse what is not translated before anything runs, with the Python that would do it."""
    code = item.get("value")
    if isinstance(code, str) and is_template(code):
        return
    found = "it is a file of code" if str(code).startswith("file://") else problem_of(code)
    if found:
        problems.add(
            item,
            f"`javascript` `{str(code)[:80]}` is not translated: {found}. Write it in Python, run "
            "with --allow-code: `type: python`, `value: 'len(output) < 100 and \"x\" in output'`",
        )


def _made(item: Mapping[str, Json], name: str, **members: object) -> Assertion:
    value = item.get("value")
    return Assertion(
        type=name,
        value=value,
        has_value="value" in item,
        options={key: member for key, member in item.items() if key not in _KNOWN},
        templated=_templated(value),
        **members,  # type: ignore[arg-type]
    )


def _templated(value: Json) -> bool:
    if isinstance(value, str):
        return is_template(value) or value.startswith("file://")
    return isinstance(value, list) and any(isinstance(v, str) and _templated(v) for v in value)


def _refuse(item: Mapping[str, Json], named: str, problems: Problems) -> None:
    needs = registry.unsupported(named.removeprefix(registry.NEGATION))
    if needs:
        problems.add(item, f"the assertion type `{named}` needs {needs}: it is not graded here")
        return
    near = registry.nearest(named)
    problems.add(
        item,
        f"there is no assertion type `{named}`" + (f": did you mean `{near}`?" if near else ""),
    )
