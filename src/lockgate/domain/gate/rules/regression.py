"""Rule 4, against what runs now: a release may not fall behind it by more than the policy says."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from lockgate.domain.decimals import decimal_text, minus, plus
from lockgate.domain.digest import Digest
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.decision import Finding, Rule, allow, deny
from lockgate.domain.gate.evidence import Running
from lockgate.domain.gate.rules.evaluation import Dataset, required_dataset
from lockgate.domain.gate.testimony import Testimony, hear
from lockgate.domain.policy_document import Comparator, RequiredEvaluation
from lockgate.domain.predicates.evaluation import PREDICATE_TYPE, Evaluation

_LESS_IS_BETTER: Final = frozenset({Comparator.AT_MOST, Comparator.BELOW})


def regression(case: Case) -> Iterator[Finding]:
    """Refuse a result that is worse than that of the running release by more than allowed."""
    running = case.evidence.surroundings.running
    compared = [e for e in case.rules.evaluations if e.max_regression is not None]
    if running is None or running.release == case.evidence.release.digest:
        if compared:
            yield allow(Rule.EVALUATION, "regression", "no other release runs there now")
        return
    baseline = hear(
        running.attestations,
        [running.release],
        task=case.evidence.release.task,
        trust=case.trust,
        now=case.now,
    )
    for required in compared:
        dataset = required_dataset(case.evidence.pins, required)
        if dataset is not None:  # else rule 4 has said so already
            yield from _compare(case, required, dataset, running, baseline)


def _compare(
    case: Case,
    required: RequiredEvaluation,
    dataset: Dataset,
    running: Running,
    baseline: Testimony,
) -> Iterator[Finding]:
    name = f"`{required.suite}` {required.metric}"
    now = _observed(case.testimony, case.evidence.release.digest, required, dataset)
    before = _observed(baseline, running.release, required, dataset)
    if now is None:  # rule 4 has said so already
        return
    if before is None:
        ignored = baseline.ignored(running.release, PREDICATE_TYPE)
        message = (
            f"{name}: the running release {running.release} has no result on the dataset "
            f"{dataset.digest}: {'; '.join(ignored[:3]) or 'there is none'}"
        )
        if required.baseline_required:
            yield deny(
                Rule.EVALUATION,
                "baseline",
                message,
                hint="evaluate the running release on this dataset too, or set "
                "`baseline_required = false` in the policy",
            )
        else:
            yield allow(Rule.EVALUATION, "baseline", message)
        return
    assert required.max_regression is not None
    text = (
        f"{name} is {decimal_text(now)}, running now: {decimal_text(before)}, allowed to be "
        f"worse by {decimal_text(required.max_regression)}"
    )
    if _within(required.comparator, now, before, required.max_regression):
        yield allow(Rule.EVALUATION, "regression", text)
        return
    yield deny(
        Rule.EVALUATION,
        "regression",
        text,
        hint=f"see what changed: `lockgate release diff {running.release} "
        f"{case.evidence.release.digest}`",
    )


def _observed(
    testimony: Testimony, release: Digest, required: RequiredEvaluation, dataset: Dataset
) -> Decimal | None:
    """Return the newest result of a release on the dataset; of several at once, the worst."""
    found = [
        (said.body.evaluated_at, measured.value)
        for said in testimony.about(release, Evaluation)
        if (said.body.suite, said.body.model, said.body.dataset)
        == (required.suite, release, dataset.digest)
        and (measured := said.body.measured(required.metric)) is not None
    ]
    if not found:
        return None
    newest = max(at for at, _ in found)
    values = [value for at, value in found if at == newest]
    return max(values) if required.comparator in _LESS_IS_BETTER else min(values)


def _within(comparator: Comparator, now: Decimal, before: Decimal, slack: Decimal) -> bool:
    match comparator:
        case Comparator.AT_LEAST | Comparator.ABOVE:
            return now >= minus(before, slack)
        case Comparator.AT_MOST | Comparator.BELOW:
            return now <= plus(before, slack)
        case Comparator.EQUAL:
            return abs(minus(now, before)) <= slack
