"""Entries of `tests`: objects of a suite or a file, and rows of a CSV file."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace

from lockgate.domain.digest import Json
from lockgate.evals.assertion import Assertion
from lockgate.evals.fields import Problems, items, mapping, number, text, texts
from lockgate.evals.javascript import trim
from lockgate.evals.read_assertions import read_assertions, read_cell
from lockgate.evals.suite import Place, TestCase
from lockgate.evals.transform import transform_problem

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_EXPECTED = re.compile(r"__expected([0-9]{1,4})?\Z")
_COMMA = re.compile(r"(?<!\\),")
_CODE = ("assertScoringFunction",)


def read_test(item: Mapping[str, Json], path: str, problems: Problems) -> TestCase:
    """Return a case; what is wrong with it goes to `problems`."""
    for name in _CODE:
        if name in item:
            problems.add(item, f"`{name}` is code and is not run here")
    options = mapping(item, "options", problems)
    for name in ("transform", "postprocess"):
        code = options.get(name)
        if code is not None and (problem := transform_problem(code)):
            problems.add(item, f"`options.{name}`: {problem}")
    if options.get("transformVars"):
        problems.add(item, "`options.transformVars` is code and is not run here")
    return TestCase(
        place=Place(path=path, line=max(1, problems.line(item))),
        description=text(item, "description", problems),
        variables=mapping(item, "vars", problems),
        assertions=read_assertions(items(item, "assert", problems), problems),
        threshold=number(item, "threshold", problems),
        options=options,
        metadata=mapping(item, "metadata", problems),
        providers=texts(item, "providers", problems),
        prompts=texts(item, "prompts", problems),
        provider_output=item.get("providerOutput"),
    )


def read_row(row: Mapping[str, str], path: str, number_: int, problems: Problems) -> TestCase:
    """Return the case of a CSV row: `__` columns are members, all others variables."""
    variables: dict[str, Json] = {}
    options: dict[str, Json] = {}
    metadata: dict[str, Json] = {}
    assertions: list[Assertion] = []
    members: dict[str, str] = {}
    configured: dict[int, float] = {}
    for key, cell in row.items():
        name = trim(key)
        if name.startswith("__expected"):
            if trim(cell) and (read := read_cell(trim(cell), problems)) is not None:
                assertions.append(read)
        elif name in {"__prefix", "__suffix"}:
            options[name[2:]] = cell
        elif name.startswith("__config:"):
            _configure(name, cell, configured, problems)
        elif name.startswith("__metadata:"):
            _remember(name.partition(":")[2], cell, metadata)
        elif name in {"__description", "__providerOutput", "__metric", "__threshold"}:
            members[name[2:]] = cell
        elif name != "__metadata":
            variables[name] = cell
    metric = members.get("metric", "")
    return TestCase(
        place=Place(path=path, line=problems.base),
        description=members.get("description") or f"Row #{number_}",
        variables=variables,
        assertions=tuple(
            replace(each, metric=metric, threshold=configured.get(at, each.threshold))
            for at, each in enumerate(assertions)
        ),
        threshold=_finite(members.get("threshold", "")),
        options=options,
        metadata=metadata,
        provider_output=members.get("providerOutput") or None,
    )


def test_of_line(line: str) -> Mapping[str, Json]:
    """Return the object of one line of a JSON Lines file.

    Raises:
        ValueError: the line is not JSON, or JSON but no object.

    """
    try:
        value = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _configure(name: str, cell: str, configured: dict[int, float], problems: Problems) -> None:
    column, _, member = name[len("__config:") :].partition(":")
    found = _EXPECTED.match(column)
    value = _finite(cell)
    if found is None or member != "threshold":
        problems.add(None, f"`{name}` is not `__config:__expected<N>:threshold`")
    elif value is None:
        problems.add(None, f"`{name}` is `{cell}`, not a number")
    else:
        configured[int(found[1] or 1) - 1] = value


def _remember(name: str, cell: str, metadata: dict[str, Json]) -> None:
    if not trim(cell):
        return
    if name.endswith("[]"):
        metadata[name[:-2]] = [trim(part).replace("\\,", ",") for part in _COMMA.split(cell)]
    else:
        metadata[name] = cell


def _finite(cell: str) -> float | None:
    found = trim(cell)
    value = float(found) if _NUMBER.match(found) else None
    return value if value is not None and math.isfinite(value) else None
