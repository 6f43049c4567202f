"""Reads `x-gate`: every problem is listed with its line."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from lockgate.domain.digest import Json
from lockgate.evals.assertions import registry
from lockgate.evals.fields import Problems, items, mapping, number, text, texts, whole
from lockgate.evals.gate.rule import (
    CONFIDENCE,
    FIDELITY,
    FORBIDDEN,
    KAPPA,
    MEASURES,
    MIN_CASES,
    PASS_RATE,
    PSI,
    QUANTILES,
    SCORE,
    Gate,
    Kind,
    Rule,
)
from lockgate.evals.transform import transform_problem

NAME = "x-gate"
MAX_RULES = 100
_WHOLE = frozenset({"min_cases", "pass_rate", "confidence", "margin", "seed", *Kind})
_SHARED = frozenset({"metric", "margin", "confidence", "min_cases", "slice"})
_MEMBERS: Mapping[Kind, frozenset[str]] = {
    Kind.QUALITY: _SHARED | {"statistic", "at_least", "baseline"},
    Kind.PERFORMANCE: _SHARED | {"statistic", "at_least", "at_most", "baseline"},
    Kind.CALIBRATION: _SHARED | {"at_most", "confidences", "bins", "baseline"},
    Kind.FIDELITY: _SHARED | {"label", "truth", "predicted", "confidences", "at_least", "baseline"},
    Kind.JUDGES: (_SHARED - {"metric"}) | {"type", "at_least"},
    Kind.FEATURES: (_SHARED - {"metric", "slice"}) | {"forbid", "at_most"},
    Kind.DRIFT: (_SHARED - {"metric"}) | {"of", "at_most"},
}
_LIMITS: Mapping[Kind, float] = {Kind.FEATURES: 0.0, Kind.DRIFT: 0.1}
"""Of what is not said: no weight, and the index up to which nothing counts as moved."""
_MARGINS: Mapping[Kind, float] = {Kind.FEATURES: 0.01, Kind.DRIFT: 0.15}
"""The mean of shares that are 0 is never surely 0; and an index above 0.25 has surely moved."""
_STATISTICS: Mapping[Kind, frozenset[str]] = {
    Kind.QUALITY: frozenset({"rate", "mean"}),
    Kind.PERFORMANCE: frozenset({*QUANTILES, "total"}),
}


def read_gate(holder: Mapping[str, Json], problems: Problems) -> Gate:
    """Return the gate of a suite, or of a policy file that has `x-gate`."""
    found = mapping(holder, NAME, problems)
    _unknown(found, _WHOLE, NAME, problems)
    rate = _share(found, "pass_rate", problems)
    if found.get("margin") is not None:
        number(found, "margin", problems)
    rules: list[Rule] = []
    for kind in Kind:
        for entry in items(found, kind, problems):
            if not isinstance(entry, Mapping):
                problems.add(found, f"`{NAME}.{kind}` holds something that is not an object")
            elif len(rules) >= MAX_RULES:
                problems.add(found, f"`{NAME}` has more than {MAX_RULES} rules")
                break
            else:
                rules += _rule(entry, kind, found, problems)
    judged = any(rule.kind is Kind.QUALITY for rule in rules)
    return Gate(
        min_cases=whole(found, "min_cases", problems, most=10**9) or 1,
        pass_rate=(None if judged else 1.0) if rate is None else rate,
        rules=tuple(rules),
        seed=whole(found, "seed", problems, most=2**31) or 7,
    )


def _rule(
    entry: Mapping[str, Json], kind: Kind, outer: Mapping[str, Json], problems: Problems
) -> Iterator[Rule]:
    _unknown(entry, _MEMBERS[kind], f"{NAME}.{kind}", problems)
    metric = text(entry, "metric", problems) or _metric(kind)
    limit, baseline = _reference(entry, kind, metric, problems)
    confidence = _confidence(entry, problems) or _confidence(outer, problems) or CONFIDENCE
    said = entry if "margin" in entry or kind in _MARGINS else outer
    margin = number(said, "margin", problems)
    if margin is None:
        margin = _MARGINS.get(kind, 0.0)
    if margin < 0:
        problems.add(entry, f"`margin` is {margin}, not 0 or more")
    before = len(problems.found)
    _check_metric(entry, kind, metric, problems)
    for name in ("predicted", "confidences", "of"):
        code = text(entry, name, problems)
        if code and (problem := transform_problem(code)):
            problems.add(entry, f"`{name}`: {problem}")
    _check_needed(entry, kind, problems)
    if limit is None and not baseline:
        problems.add(entry, _no_reference(kind))
    if len(problems.found) > before:
        return
    yield Rule(
        kind=kind,
        metric=metric,
        statistic=text(entry, "statistic", problems) or _statistic(kind, metric, baseline=baseline),
        limit=limit,
        margin=margin,
        confidence=confidence,
        min_cases=whole(entry, "min_cases", problems, most=10**9) or MIN_CASES,
        slice=text(entry, "slice", problems),
        label=text(entry, "label", problems),
        truth=text(entry, "truth", problems),
        predicted=text(entry, "predicted", problems) or "output",
        confidences=text(entry, "confidences", problems),
        bins=whole(entry, "bins", problems, most=1000) or 10,
        judge=text(entry, "type", problems),
        forbidden=texts(entry, "forbid", problems) or (),
        of=text(entry, "of", problems),
        line=problems.line(entry),
    )


def _metric(kind: Kind) -> str:
    return {
        Kind.QUALITY: PASS_RATE,
        Kind.CALIBRATION: "ece",
        Kind.JUDGES: KAPPA,
        Kind.FEATURES: FORBIDDEN,
        Kind.DRIFT: PSI,
    }.get(kind, "")


def _no_reference(kind: Kind) -> str:
    if kind is Kind.JUDGES:
        return "`at_least` is missing: the least kappa of the judge and people"
    return "neither a limit (`at_least`, `at_most`) nor `baseline: true`"


def _check_needed(entry: Mapping[str, Json], kind: Kind, problems: Problems) -> None:
    """Note members without which an entry asks nothing."""
    needed = {
        Kind.FIDELITY: {
            "truth": "the metadata or variable with the true label",
            "label": "the class that is looked for",
        },
        Kind.DRIFT: {"of": "where in the output the value is, such as `output.label`"},
    }.get(kind, {})
    for name, meaning in needed.items():
        if not text(entry, name, problems):
            problems.add(entry, f"`{name}` is missing: {meaning}")
    if kind is Kind.FEATURES and not texts(entry, "forbid", problems):
        problems.add(entry, "`forbid` is missing: features, or prefixes such as `author=*`")
    judge = text(entry, "type", problems)
    if judge and not registry.is_judged(judge):
        problems.add(entry, f"`type` is `{judge}`, which no model judges")


def _statistic(kind: Kind, metric: str, *, baseline: bool) -> str:
    if kind is Kind.QUALITY:
        return "rate" if metric == PASS_RATE else "mean"
    if kind is Kind.PERFORMANCE:
        return "total" if metric == "cost" and baseline else "p95"
    return ""


def _check_metric(entry: Mapping[str, Json], kind: Kind, metric: str, problems: Problems) -> None:
    known = {
        Kind.PERFORMANCE: frozenset(MEASURES),
        Kind.CALIBRATION: frozenset({"ece"}),
        Kind.FIDELITY: FIDELITY,
    }.get(kind)
    if known is not None and metric not in known:
        problems.add(entry, f"`metric` is `{metric}`, not one of {', '.join(sorted(known))}")
    statistic = text(entry, "statistic", problems)
    allowed = _STATISTICS.get(kind, frozenset())
    if statistic and statistic not in allowed:
        problems.add(
            entry, f"`statistic` is `{statistic}`, not one of {', '.join(sorted(allowed))}"
        )
    if metric == PASS_RATE and statistic == "mean":
        problems.add(entry, f"`{PASS_RATE}` is a rate: `metric: {SCORE}` has a mean")
    if statistic == "total" and not entry.get("baseline"):
        problems.add(entry, "a total is compared with a `baseline`; for a limit take a quantile")


def _reference(
    entry: Mapping[str, Json], kind: Kind, metric: str, problems: Problems
) -> tuple[float | None, bool]:
    """Return the limit, and whether the baseline is the reference."""
    lower = kind in {Kind.CALIBRATION, Kind.FEATURES, Kind.DRIFT} or (
        kind is Kind.PERFORMANCE and not MEASURES.get(metric, ("", False))[1]
    )
    right, wrong = ("at_most", "at_least") if lower else ("at_least", "at_most")
    if wrong in entry and wrong in _MEMBERS[kind]:
        problems.add(entry, f"`{metric}` takes `{right}`, not `{wrong}`")
    limit = number(entry, right, problems)
    if limit is None:
        limit = _LIMITS.get(kind)
    baseline = entry.get("baseline")
    if not (baseline is None or isinstance(baseline, bool)):
        problems.add(entry, "`baseline` is neither true nor false")
    if limit is not None and baseline is True:
        problems.add(entry, f"both `{right}` and `baseline`: write two entries")
    if limit is not None and kind not in {Kind.PERFORMANCE, Kind.DRIFT} and not 0 <= limit <= 1:
        problems.add(entry, f"`{right}` is {limit}, not from 0 to 1")
    if limit is not None and limit < 0:
        problems.add(entry, f"`{right}` is {limit}, not 0 or more")
    return limit, baseline is True


def _confidence(found: Mapping[str, Json], problems: Problems) -> float | None:
    value = number(found, "confidence", problems)
    if value is not None and not 0.5 < value < 1:  # noqa: PLR2004
        problems.add(found, f"`confidence` is {value}, not between 0.5 and 1")
        return None
    return value


def _share(found: Mapping[str, Json], name: str, problems: Problems) -> float | None:
    value = number(found, name, problems)
    if value is not None and not 0 <= value <= 1:
        problems.add(found, f"`{name}` is {value}, not from 0 to 1")
    return value


def _unknown(
    found: Mapping[str, Json], known: frozenset[str], place: str, problems: Problems
) -> None:
    for name in sorted(set(found) - known):
        near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
        meant = f": did you mean `{near[0]}`?" if near else f", only {', '.join(sorted(known))}"
        problems.add(found, f"`{place}` has no `{name}`{meant}")
