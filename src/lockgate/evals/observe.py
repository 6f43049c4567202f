"""What is noted of a case for the gates: slices, measurements, labels, confidences."""

import math
from collections.abc import Mapping

from lockgate.domain.digest import Json, JsonObject
from lockgate.errors import InvalidInput
from lockgate.evals.assertion import Response
from lockgate.evals.expand import Case
from lockgate.evals.gate.evidence import (
    CONFIDENCE,
    FEATURES,
    MEASURES,
    PATHS,
    SLICES,
    TRUTHS,
)
from lockgate.evals.gate.rule import Wanted
from lockgate.evals.javascript import text_of
from lockgate.evals.transform import transformed

_NONE = "(none)"
_LABEL = 200
"""A label is no longer; the output itself stands in the result already."""


def observe(wanted: Wanted, case: Case, response: Response) -> JsonObject:
    """Return what the gates need to know of a case; what is not there is left out."""
    found: dict[str, Json] = {}
    if wanted.slices:
        found[SLICES] = {name: slice_of(case, name) for name in sorted(wanted.slices)}
    if wanted.measures:
        values = {name: _measured(response, name) for name in sorted(wanted.measures)}
        found[MEASURES] = {n: v for n, v in values.items() if v is not None}
    if wanted.truths:
        found[TRUTHS] = {n: t for n in sorted(wanted.truths) if (t := _known(case, n)) is not None}
    if wanted.paths:
        found[PATHS] = {
            p: v for p in sorted(wanted.paths) if (v := _at(p, response.output)) is not None
        }
    if wanted.confidence and response.confidence is not None:
        found[CONFIDENCE] = response.confidence
    if wanted.features and response.features:
        found[FEATURES] = list(response.features)
    return found


def slice_of(case: Case, name: str) -> str:
    """Return the slice of a case: what its metadata or a variable of that name says."""
    return _known(case, name) or _NONE


def _known(case: Case, name: str) -> str | None:
    value = case.metadata.get(name, case.variables.get(name))
    return None if value is None else text_of(value)


def _measured(response: Response, name: str) -> float | None:
    value = response.measures.get(name)
    if value is None:
        value = {"latency_ms": response.latency_ms, "cost": response.cost}.get(name)
    return value if value is not None and math.isfinite(value) else None


def _at(path: str, output: Json) -> Json:
    """Return a label or a number at a path; an output without it has none there."""
    try:
        value = transformed(path, output)
    except InvalidInput:
        return None
    if isinstance(value, Mapping | list):
        return None
    return value[:_LABEL] if isinstance(value, str) else value
