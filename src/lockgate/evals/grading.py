"""What all assertions of a case say together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lockgate.domain.digest import Json
from lockgate.errors import InvalidConfig, InvalidInput, UsageError
from lockgate.evals.assertion import Assertion, Context, Graded
from lockgate.evals.assertions import registry
from lockgate.evals.files import SCHEME, Files
from lockgate.evals.javascript import number_text
from lockgate.evals.template import render
from lockgate.evals.transform import transformed

_INFINITE = float("inf")
_CODE = "python"


@dataclass(frozen=True, slots=True)
class Part:
    """One assertion's verdict."""

    assertion: Assertion
    graded: Graded


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """A case's verdict."""

    passed: bool
    score: float
    reason: str
    parts: tuple[Part, ...] = ()
    named: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Scores by metric: the weighted mean, and the weight that it stands for."""


@dataclass(slots=True)
class _Total:
    threshold: float | None
    score: float = 0.0
    weight: float = 0.0
    failure: str = ""
    failed: bool = False
    parts: list[Part] = field(default_factory=list)
    sums: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, graded: Graded, weight: float, metric: str) -> None:
        self.score += graded.score * weight
        self.weight += weight
        if metric:
            self.count(metric, graded.score * weight, weight)
        if not graded.passed:
            self.failed, self.failure = True, graded.reason

    def count(self, metric: str, score: float, weight: float) -> None:
        before, weighed = self.sums.get(metric, (0.0, 0.0))
        self.sums[metric] = before + score, weighed + weight

    def verdict(self) -> Grading:
        score = self.score / self.weight if self.weight > 0 else 0.0
        passed, reason = not self.failed, self.failure or "All assertions passed"
        if self.threshold is not None:
            passed = score >= self.threshold
            sign = "≥" if passed else "<"
            reason = f"score {score:.2f} {sign} threshold {number_text(self.threshold)}"
        return Grading(
            passed=passed,
            score=score,
            reason=reason,
            parts=tuple(self.parts),
            named={
                name: (total / weight if weight > 0 else 0.0, weight)
                for name, (total, weight) in self.sums.items()
            },
        )


def grade_case(
    assertions: Sequence[Assertion], threshold: float | None, context: Context, files: Files
) -> Grading:
    """Ask every assertion of a case.

    Raises:
        InvalidInput: one of them makes no sense of this output: the case is an error.

    """
    if not assertions:
        return Grading(passed=True, score=1.0, reason="No assertions")
    total = _Total(threshold)
    for assertion in assertions:
        if assertion.type == registry.ASSERT_SET:
            _add_set(assertion, total, context, files)
        else:
            graded, asked = ask(assertion, context, files)
            total.parts.append(Part(asked, graded))
            total.add(graded, assertion.weight, _metric(assertion, context))
    return total.verdict()


def ask(assertion: Assertion, context: Context, files: Files) -> tuple[Graded, Assertion]:
    """Return the verdict, and the assertion with its value filled in."""
    if registry.is_asked(assertion.type):
        return _weighed(context.asked[id(assertion)], assertion), assertion
    if assertion.templated:
        assertion = filled(assertion, context.variables, files)
    graded = registry.grade(assertion.type)(assertion, seen(assertion, context), context)
    return _weighed(graded, assertion), assertion


def _weighed(graded: Graded, assertion: Assertion) -> Graded:
    if not -_INFINITE < graded.score < _INFINITE:
        raise InvalidInput(f"the assertion `{assertion.name}` gave the score {graded.score}")
    if assertion.weight == 0 and not graded.passed:
        return graded._replace(passed=True)
    return graded


def seen(assertion: Assertion, context: Context) -> Json:
    """Return the output as the assertion sees it: after a transform of its own."""
    code = assertion.options.get("transform")
    output = context.response.output
    return transformed(code, output) if isinstance(code, str) else output


def filled(assertion: Assertion, variables: Mapping[str, Json], files: Files) -> Assertion:
    """Return the assertion with files read and templates rendered."""
    if assertion.type == _CODE:  # braces are Python's, and a file is for the process to read
        return assertion

    def fill(value: Json) -> Json:
        if not isinstance(value, str):
            return value
        return files.value(value) if value.startswith(SCHEME) else render(value, variables)

    value = assertion.value
    try:
        made: Json = [fill(item) for item in value] if isinstance(value, list) else fill(value)
    except InvalidConfig as error:
        raise InvalidInput(error.message, hint=error.hint) from None
    return replace(assertion, value=made, templated=False)


def similar_assertions(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    """Yield the assertions that need embeddings."""
    for assertion in assertions:
        if assertion.type in registry.SIMILAR:
            yield assertion
        elif assertion.parts:
            yield from similar_assertions(assertion.parts)


def asked_assertions(assertions: Iterable[Assertion]) -> Iterator[Assertion]:
    """Yield the assertions that wait for somebody."""
    for assertion in assertions:
        if registry.is_asked(assertion.type):
            yield assertion
        elif assertion.type == registry.ASSERT_SET:
            yield from asked_assertions(assertion.parts)


def _add_set(assertion: Assertion, total: _Total, context: Context, files: Files) -> None:
    inner = grade_case(assertion.parts, assertion.threshold, context, files)
    if not assertion.parts:
        inner = Grading(passed=True, score=0.0, reason="All assertions passed")
    graded = Graded(inner.passed, inner.score, inner.reason)
    total.parts.append(Part(assertion, graded))
    total.parts.extend(inner.parts)
    metric = _metric(assertion, context)
    total.add(graded, assertion.weight, metric)
    for name, (score, weight) in inner.named.items():
        if name != metric:
            weighed = weight * assertion.weight
            total.count(name, score * weighed, weighed)


def _metric(assertion: Assertion, context: Context) -> str:
    if not assertion.metric:
        return ""
    try:
        return render(assertion.metric, context.variables)
    except UsageError:
        return assertion.metric
