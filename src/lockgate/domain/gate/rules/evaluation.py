"""Rule 4: the evaluations that the policy demands were run, and showed what it demands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lockgate.domain.artifact import Kind
from lockgate.domain.decimals import decimal_text
from lockgate.domain.digest import Digest
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import PinFacts
from lockgate.domain.gate.matching import listed, matches, span
from lockgate.domain.gate.rules.registered import registration_flaws
from lockgate.domain.gate.testimony import Said
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import Comparator, RequiredEvaluation
from lockgate.domain.predicates.evaluation import PREDICATE_TYPE, Evaluation, Measured

_RUN = "evaluate this release: `lockgate release evaluate RELEASE --sign KEY`"


def evaluations(case: Case) -> Iterator[Finding]:
    """Refuse a release whose required results are missing, old, foreign, small or too low."""
    if not case.rules.evaluations:
        yield allow(Rule.EVALUATION, "not-needed", "no evaluation is required")
    for required in case.rules.evaluations:
        yield from _required(case, required)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What an evaluation must have used."""

    said_by: str
    """Who names it, for messages."""
    digest: Digest


def required_dataset(pins: Sequence[PinFacts], required: RequiredEvaluation) -> Dataset | None:
    """Return the dataset that the evaluation must have used; None if it is not clear which.

    A policy names it by its digest, or leaves it to the release, which pins it.
    """
    if required.dataset.startswith("sha256:"):
        return Dataset(said_by="the policy names it", digest=Digest.parse(required.dataset))
    pin = _pinned_dataset(pins, required)
    if pin is None:
        return None
    return Dataset(said_by=f"the release pins `{pin.name}`", digest=pin.digest)


def _pinned_dataset(pins: Sequence[PinFacts], required: RequiredEvaluation) -> PinFacts | None:
    datasets = [pin for pin in pins if pin.kind is Kind.DATASET]
    if required.dataset:
        return next((pin for pin in datasets if pin.name == required.dataset), None)
    return datasets[0] if len(datasets) == 1 else None


def holds(value: Decimal, comparator: Comparator, threshold: Decimal) -> bool:
    """Say whether a value meets a threshold."""
    match comparator:
        case Comparator.AT_LEAST:
            return value >= threshold
        case Comparator.ABOVE:
            return value > threshold
        case Comparator.AT_MOST:
            return value <= threshold
        case Comparator.BELOW:
            return value < threshold
        case Comparator.EQUAL:
            return value == threshold


def _required(case: Case, required: RequiredEvaluation) -> Iterator[Finding]:
    name = f"`{required.suite}` {required.metric}"
    dataset = required_dataset(case.evidence.pins, required)
    if dataset is None:
        pinned = sorted(pin.name for pin in case.evidence.pins if pin.kind is Kind.DATASET)
        yield deny(
            Rule.EVALUATION,
            "dataset",
            f"{name} is measured on the dataset `{required.dataset or 'that the release pins'}`, "
            f"the release pins: {listed(pinned)}",
            hint="pin the dataset in the task, and build the release again",
        )
        return
    candidates = [
        said
        for said in case.testimony.about(case.evidence.release.digest, Evaluation)
        if said.body.suite == required.suite and said.body.measured(required.metric) is not None
    ]
    fitting = [s for s in candidates if _misfit(case, s.body, dataset) is None]
    if not fitting:
        yield _missing(case, required, dataset, candidates)
        return
    # The newest result counts: a later failure is not hidden by an earlier success. Of several
    # from the same moment, all must hold.
    newest = max(said.body.evaluated_at for said in fitting)
    for said in fitting:
        if said.body.evaluated_at == newest:
            yield from _judge(case, required, said)


def _misfit(case: Case, result: Evaluation, dataset: Dataset) -> tuple[str, str] | None:
    release = case.evidence.release.digest
    if result.model != release:
        return "release", f"it evaluated {result.model}, this is {release}"
    if result.dataset != dataset.digest:
        return "dataset", (
            f"it used the dataset {result.dataset}, {dataset.said_by} as {dataset.digest}"
        )
    return None


def _missing(
    case: Case,
    required: RequiredEvaluation,
    dataset: Dataset,
    candidates: Sequence[Said[Evaluation]],
) -> Finding:
    name = f"`{required.suite}` {required.metric}"
    if candidates:
        newest = max(candidates, key=lambda said: (said.body.evaluated_at, said.digest))
        check, reason = _misfit(case, newest.body, dataset) or ("missing", "")
        return deny(
            Rule.EVALUATION,
            check,
            f"{name} by `{newest.holder}` does not count: {reason}",
            hint=_RUN,
        )
    ignored = case.testimony.ignored(case.evidence.release.digest, PREDICATE_TYPE)
    return deny(
        Rule.EVALUATION,
        "missing",
        f"{name} {required.comparator} {decimal_text(required.threshold)} is required, "
        f"and no evaluator signed a result: {'; '.join(ignored[:3]) or 'there is none'}",
        hint=_RUN,
    )


def _judge(case: Case, required: RequiredEvaluation, said: Said[Evaluation]) -> Iterator[Finding]:
    result, measured = said.body, said.body.measured(required.metric)
    assert measured is not None
    name = f"`{required.suite}` {required.metric}"
    refusals = [
        deny(Rule.EVALUATION, check, f"{name}: {message}", hint=hint)
        for check, message, hint in (
            *_stale(case, required, result),
            *_too_low(required, measured),
            *registration_flaws(case, required, result),
        )
    ]
    yield from refusals
    if not refusals:
        yield allow(
            Rule.EVALUATION,
            "threshold",
            f"{name} is {decimal_text(measured.value)}, required: {required.comparator} "
            f"{decimal_text(required.threshold)}; {result.sample_size} samples, "
            f"by `{said.holder}` at {instant_text(result.evaluated_at)}",
        )


def _stale(
    case: Case, required: RequiredEvaluation, result: Evaluation
) -> Iterator[tuple[str, str, str]]:
    age = case.now - result.evaluated_at
    if required.max_age is not None and age > required.max_age:
        yield (
            "age",
            f"the result is {span(age)} old, at most {span(required.max_age)} allowed",
            _RUN,
        )
    if result.sample_size < required.min_samples:
        yield (
            "samples",
            f"{result.sample_size} samples, at least {required.min_samples} required",
            "evaluate on more samples, or pin a larger dataset",
        )
    if not matches(str(result.harness_digest), required.harnesses):
        yield (
            "harness",
            (
                f"measured by `{result.harness}` {result.harness_digest}, "
                f"allowed: {listed(required.harnesses)}"
            ),
            "evaluate with an allowed harness, or have the policy's owner allow this one",
        )


def _too_low(required: RequiredEvaluation, measured: Measured) -> Iterator[tuple[str, str, str]]:
    needed = f"{required.comparator} {decimal_text(required.threshold)}"
    hint = "improve the release; the threshold is the policy's: `lockgate policy explain`"
    if not holds(measured.value, required.comparator, required.threshold):
        yield "threshold", f"observed {decimal_text(measured.value)}, required: {needed}", hint
    interval = measured.interval
    if interval is None:
        if required.interval_required:
            yield (
                "interval",
                "the result has no confidence interval, one is required",
                "evaluate with a harness that reports one",
            )
        return
    if not interval.lower <= measured.value <= interval.upper:
        yield (
            "interval",
            (
                f"observed {decimal_text(measured.value)} is outside its own interval "
                f"{decimal_text(interval.lower)} to {decimal_text(interval.upper)}"
            ),
            _RUN,
        )
    for end in _ends(required.comparator, interval.lower, interval.upper):
        if not holds(end, required.comparator, required.threshold):
            yield (
                "interval",
                (
                    f"the end {decimal_text(end)} of the {decimal_text(interval.level)} confidence "
                    f"interval does not hold, required: {needed}"
                ),
                "evaluate on more samples, or improve the release",
            )


def _ends(comparator: Comparator, lower: Decimal, upper: Decimal) -> tuple[Decimal, ...]:
    """Return the ends of an interval that must hold: the bad one."""
    if comparator in {Comparator.AT_LEAST, Comparator.ABOVE}:
        return (lower,)
    if comparator in {Comparator.AT_MOST, Comparator.BELOW}:
        return (upper,)
    return ()
