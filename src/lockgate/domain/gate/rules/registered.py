"""Part of rule 4: what a result has to show was said before it was measured."""

from collections.abc import Iterator

from lockgate.domain.decimals import decimal_text
from lockgate.domain.gate.case import Case
from lockgate.domain.gate.testimony import Said
from lockgate.domain.instants import instant_text
from lockgate.domain.policy_document import RequiredEvaluation
from lockgate.domain.predicates.evaluation import Evaluation
from lockgate.domain.predicates.preregistration import PREDICATE_TYPE, Preregistration

_HINT = (
    "have the policy's owner register it, then evaluate again: "
    "`lockgate policy register RELEASE --to {} --sign KEY`"
)


def registration_flaws(
    case: Case, required: RequiredEvaluation, result: Evaluation
) -> Iterator[tuple[str, str, str]]:
    """Yield check, message and hint if the policy's criterion was not signed in time."""
    if not required.preregistered:
        return
    hint = _HINT.format(case.evidence.environment)
    wanted = f"{required.comparator} {decimal_text(required.threshold)}"
    said = _about(case, required, result)
    fitting = [one for one in said if one.body.criterion == wanted]
    if not fitting:
        ignored = "; ".join(case.testimony.ignored(result.dataset, PREDICATE_TYPE)[:3])
        others = ", ".join(sorted({f"`{one.body.criterion}`" for one in said}))
        yield (
            "registration",
            (
                f"`{wanted}` must be registered before it is measured, registered by a policy "
                f"owner: {others or ignored or 'nothing'}"
            ),
            hint,
        )
        return
    first = min(one.body.at for one in fitting)
    if first >= result.evaluated_at:
        yield (
            "registration",
            (
                f"`{wanted}` was registered at {instant_text(first)}, measured at "
                f"{instant_text(result.evaluated_at)}; required: before"
            ),
            hint,
        )


def _about(
    case: Case, required: RequiredEvaluation, result: Evaluation
) -> list[Said[Preregistration]]:
    return [
        one
        for one in case.testimony.about(result.dataset, Preregistration)
        if (one.body.suite, one.body.metric, one.body.dataset)
        == (required.suite, required.metric, result.dataset)
    ]
